#include "tlsworker/relay.h"

#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "tlsworker/session.h"

namespace postern::tlsworker {
namespace {

constexpr unsigned kTurnsPerLook = 64;  // while octets move, at the control channel and the clock
// For a client to fetch what a backend that has ended left in our buffers and the kernel's, some 300 KiB at most.
constexpr absl::Duration kDrainTime = absl::Seconds(120), kDrainStallTime = absl::Seconds(20);
// What is taken from the backend at once, and becomes some records and, where it can, one segment for the kernel to
// cut. Pages of it that are never needed are never there.
constexpr size_t kBulkOctets = 4 * kRecordOctets;
// A backend that goes on writing small pieces (courierpop3d: 4 KiB) makes a record, and wakes us, for each. After so
// many of at least so many octets, with no word of the client between them, it is given so long to gather more.
constexpr int kPiecesMin = 16;
constexpr ssize_t kPieceOctetsMin = 1024;
constexpr int kGatherMillis = 1;

class Relayer {
 public:
  Relayer(SSL* ssl, int client, int plain, int control, const RelayOptions& options)
      : ssl_(ssl), client_(client), plain_(plain), control_(control), options_(options), asked_fd_(options.asked) {}

  Outcome Run();

 private:
  // Each moves what it can without blocking and notes what it waits for.
  bool ReadClient();
  bool WritePlain();
  bool ReadPlain();
  bool WriteClient();
  bool Over() const;
  // Waits for what the turn noted, at most so long; with `gather` not for the backend. False: the supervisor has gone.
  bool Wait(int millis, bool gather);
  void StandStill();
  void SendCloseNotify();
  void NoteWant(int ssl_result);

  SSL* const ssl_;
  const int client_, plain_, control_;
  const RelayOptions& options_;
  int asked_fd_;
  bool asked_ = false;
  bool client_closed_ = false;   // close_notify came
  bool client_lost_ = false;     // nothing more will come or go
  bool up_shut_ = false;         // the backend has been told end of file, or does not want to read
  bool backend_closed_ = false;  // its end of file came
  bool backend_gone_ = false;    // it has closed both directions; its last octets may still be on their way
  bool told_client_ = false;     // close_notify has been sent for that
  short want_client_ = 0, want_plain_ = 0;
  bool client_readable_ = true, plain_readable_ = true;  // or may be; poll(2) says when they are so again
  int pieces_ = 0;                                       // small ones from the backend, one after the other
  Outcome outcome_ = {};
  // Last, as most of their pages are never touched.
  Buffer<> up_;               // client to plain: one record, which never comes apart by our doing
  Buffer<kBulkOctets> down_;  // plain to client
};

void Relayer::NoteWant(int ssl_result) {
  switch (SSL_get_error(ssl_, ssl_result)) {
    case SSL_ERROR_WANT_READ:
      want_client_ |= POLLIN;
      break;
    case SSL_ERROR_WANT_WRITE:
      want_client_ |= POLLOUT;
      break;
    case SSL_ERROR_ZERO_RETURN:
      client_closed_ = true;
      break;
    default:  // end of file without close_notify, a reset, a broken record, an attempt to renegotiate
      client_lost_ = true;
  }
}

bool Relayer::ReadClient() {
  if (client_closed_ || client_lost_) return false;
  up_.Compact();
  if (up_.space_octets() == 0) return false;
  if (!client_readable_) {
    want_client_ |= POLLIN;
    return false;
  }
  ERR_clear_error();
  AllowReads(ssl_);
  const int octets = SSL_read(ssl_, up_.space(), static_cast<int>(up_.space_octets()));
  if (octets <= 0) {
    NoteWant(octets);
    client_readable_ = (want_client_ & POLLIN) == 0;
    return client_closed_;
  }
  client_readable_ = SSL_has_pending(ssl_) == 1;
  pieces_ = 0;
  up_.Added(static_cast<size_t>(octets));
  outcome_.from_client += static_cast<uint64_t>(octets);
  return true;
}

bool Relayer::WritePlain() {
  if (up_shut_) {
    up_.Taken(up_.size());  // a backend that reads no more: the octets have nowhere to go
    return false;
  }
  const size_t passable = Passable(up_, options_.whole_lines, client_closed_);
  if (passable == 0) {
    if (!client_closed_) return false;
    shutdown(plain_, SHUT_WR);
    up_shut_ = true;
    return true;
  }
  const ssize_t sent = send(plain_, up_.data(), passable, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) {
    up_.Taken(static_cast<size_t>(sent));
    return true;
  }
  if (errno == EAGAIN)
    want_plain_ |= POLLOUT;
  else if (errno != EINTR)
    up_shut_ = true;
  return errno == EINTR;
}

bool Relayer::ReadPlain() {
  if (backend_closed_ || !down_.empty()) return false;
  if (!plain_readable_) {
    want_plain_ |= POLLIN;
    return false;
  }
  down_.Compact();
  const ssize_t octets = recv(plain_, down_.space(), down_.space_octets(), MSG_DONTWAIT);
  if (octets > 0) {
    plain_readable_ = down_.space_octets() == static_cast<size_t>(octets);
    if (!plain_readable_) pieces_ = octets >= kPieceOctetsMin ? pieces_ + 1 : 0;
    down_.Added(static_cast<size_t>(octets));
    return true;
  }
  if (octets < 0 && errno == EINTR) return true;
  if (octets < 0 && errno == EAGAIN) {
    plain_readable_ = false;
    pieces_ = 0;
    want_plain_ |= POLLIN;
    return false;
  }
  backend_closed_ = true;  // a reset (it left with our octets unread) is an end too
  return true;
}

bool Relayer::WriteClient() {
  if (down_.empty() || client_lost_) return false;
  ERR_clear_error();
  SetMore(ssl_, down_.size() > kRecordOctets);
  const int octets = SSL_write(ssl_, down_.data(), static_cast<int>(std::min(down_.size(), kRecordOctets)));
  if (octets <= 0) {
    NoteWant(octets);
    return false;
  }
  down_.Taken(static_cast<size_t>(octets));
  outcome_.to_client += static_cast<uint64_t>(octets);
  return true;
}

// A backend that has closed both directions, or takes nothing more, is done. One that has closed only its own (rare,
// but stdin and stdout are two) may still read.
bool Relayer::Over() const {
  if (client_lost_) return true;
  if (!backend_closed_ || !down_.empty()) return false;
  return up_shut_ || backend_gone_;
}

void Relayer::SendCloseNotify() {
  if (std::exchange(told_client_, true)) return;
  const base::Deadline deadline = base::Deadline::In(absl::Seconds(2));
  ERR_clear_error();
  int result;
  while ((result = SSL_shutdown(ssl_)) < 0 && SSL_get_error(ssl_, result) == SSL_ERROR_WANT_WRITE &&
         !deadline.Passed()) {
    pollfd fd = {client_, POLLOUT, 0};
    poll(&fd, 1, deadline.PollMillis());
  }
}

// All that the plain side had said has been passed on.
void Relayer::StandStill() {
  asked_ = false;
  std::string text;
  const Answer answer = options_.on_asked(&text);
  const size_t octets = std::min(text.size(), down_.space_octets());  // it is empty: the text fits
  memcpy(down_.space(), text.data(), octets);
  down_.Added(octets);
  plain_readable_ = true;
  if (answer == Answer::kNobody) asked_fd_ = -1;
  if (answer == Answer::kEnd) backend_closed_ = up_shut_ = true;
}

bool Relayer::Wait(int millis, bool gather) {
  // A question that has been seen is taken up when all that was said before it has been passed on, however long the
  // client takes for that.
  pollfd fds[] = {
      {client_, want_client_, 0}, {plain_, want_plain_, 0}, {control_, 0, 0}, {asked_ ? -1 : asked_fd_, POLLIN, 0}};
  // poll(2) reports a hang-up whether asked for or not; a side that nothing is wanted of must not wake us for ever.
  // The hang-up of the backend is wanted once, whatever the client does meanwhile. That of a client (a reset: our
  // side is open) is the end of it, and the only sign of it while a backend that does not read keeps us from reading.
  if (want_client_ == 0 && client_closed_) fds[0].fd = -1;
  if (gather || (want_plain_ == 0 && backend_gone_)) fds[1].fd = -1;
  poll(fds, 4, millis);
  if (fds[0].revents != 0) client_readable_ = true;
  if (fds[1].revents != 0) plain_readable_ = true;
  if (want_client_ == 0 && (fds[0].revents & (POLLHUP | POLLERR)) != 0) client_lost_ = true;
  if ((fds[1].revents & (POLLHUP | POLLERR)) != 0) backend_gone_ = true;
  // What was said before the question is there by now, so one look more tells that it is all.
  if (fds[3].revents != 0) asked_ = plain_readable_ = true;
  return fds[2].revents == 0;
}

Outcome Relayer::Run() {
  base::Deadline idle = base::Deadline::In(options_.idle), drained = base::Deadline::Never();
  for (unsigned turn = 1;; ++turn) {
    want_client_ = want_plain_ = 0;
    // Not one after the other until it blocks: each direction moves whatever the other waits for.
    bool moved_up = ReadClient();
    moved_up |= WritePlain();
    bool moved_down = ReadPlain();
    moved_down |= WriteClient();
    if (Over()) break;
    if (asked_ && !plain_readable_ && !backend_closed_ && down_.empty()) {
      StandStill();
      continue;
    }
    // What a backend has left behind has to be fetched: a client that sends but does not read gains no time by it.
    const bool draining = backend_gone_ && !down_.empty();
    if (draining && drained == base::Deadline::Never()) {
      drained = base::Deadline::In(kDrainTime);
      idle = base::Deadline::In(kDrainStallTime);
    }
    if (backend_closed_ && down_.empty()) SendCloseNotify();
    if (moved_down || (moved_up && !draining)) idle = base::Deadline::In(draining ? kDrainStallTime : options_.idle);
    const bool moved = moved_up || moved_down;
    if (moved && turn % kTurnsPerLook != 0) continue;

    const bool gather = !moved && pieces_ >= kPiecesMin && down_.empty();
    if (gather) plain_readable_ = true;  // after the wait
    const int millis = moved ? 0 : gather ? kGatherMillis : std::min(idle, drained).PollMillis();
    if (!Wait(millis, gather)) {
      outcome_.why = Why::kShutdown;
      return outcome_;
    }
    if (idle.Passed() || drained.Passed()) {
      if (!draining) SendCloseNotify();
      Linger(client_, control_);
      outcome_.why = Why::kIdle;
      return outcome_;
    }
  }
  outcome_.why = client_lost_ ? Why::kClientLost : (client_closed_ ? Why::kClientClosed : Why::kBackendClosed);
  if (!client_lost_) {
    SendCloseNotify();
    Linger(client_, control_);
  }
  return outcome_;
}

}  // namespace

size_t Passable(const Buffer<>& buffer, bool whole_lines, bool at_end) {
  if (!whole_lines || at_end) return buffer.size();
  const void* lf = memrchr(buffer.data(), '\n', buffer.size());
  if (lf != nullptr) return static_cast<size_t>(static_cast<const char*>(lf) - buffer.data()) + 1;
  return buffer.full() ? buffer.size() : 0;
}

const char* Name(Why why) {
  switch (why) {
    case Why::kClientClosed:
      return "client_closed";
    case Why::kClientLost:
      return "client_lost";
    case Why::kBackendClosed:
      return "backend_closed";
    case Why::kIdle:
      return "idle";
    case Why::kShutdown:
      return "shutdown";
  }
  return "unknown";
}

Outcome Relay(SSL* ssl, int client, int plain, int control, const RelayOptions& options) {
  // Not on the stack: the compiler's probes against stack clashes would touch every page of the buffers.
  return std::make_unique<Relayer>(ssl, client, plain, control, options)->Run();
}

}  // namespace postern::tlsworker
