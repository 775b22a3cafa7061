#include "protocolbroker/octet_relay.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>

#include "base/status_macros.h"

namespace postern::protocolbroker {
namespace {

// For a backend to answer a client that says no more. It is not told end of file: a worker may shut nothing down.
constexpr absl::Duration kLastWords = absl::Seconds(2);

// One direction. What does not fit stays in the kernel, and the sender waits there.
class Flow {
 public:
  Flow(int from, int to) : from_(from), to_(to) {}

  // What was read; "" if nothing was. At the end of the stream ended() becomes true.
  absl::string_view Read() {
    const ssize_t octets = recv(from_, octets_.data(), octets_.size(), MSG_DONTWAIT);
    if (octets > 0) end_ = static_cast<size_t>(octets);
    lost_ = octets < 0 && errno != EAGAIN && errno != EINTR;
    ended_ = octets == 0 || lost_;
    return absl::string_view(octets_.data(), end_);
  }
  // False: nobody reads any more. What there was has nowhere to go.
  bool Write() {
    const ssize_t octets = send(to_, octets_.data() + begin_, end_ - begin_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (octets < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    begin_ += octets < 0 ? end_ - begin_ : static_cast<size_t>(octets);
    if (begin_ == end_) Forget();
    return octets >= 0;
  }
  bool empty() const { return begin_ == end_; }
  bool ended() const { return ended_; }
  bool lost() const { return lost_; }  // reset: nobody hears an answer either
  // What to wait for on either side.
  short wants_from() const { return empty() && !ended_ ? POLLIN : 0; }
  short wants_to() const { return empty() ? 0 : POLLOUT; }

 private:
  // We stay for the whole session, and a password would.
  void Forget() {
    explicit_bzero(octets_.data(), end_);
    begin_ = end_ = 0;
  }

  const int from_, to_;
  bool ended_ = false, lost_ = false;
  size_t begin_ = 0, end_ = 0;
  std::array<char, 16384> octets_;
};

}  // namespace

absl::Status RelayOctets(int client, int backend, int control, Watcher& watcher, const base::Deadline& login,
                         absl::Duration idle) {
  Flow up(client, backend), down(backend, client);
  base::Deadline last_words = base::Deadline::Never();
  while (true) {
    // Without an event to wait for, a hang-up would be reported for ever: then the descriptor is left out (poll(2)).
    pollfd fds[] = {{client, static_cast<short>(up.wants_from() | down.wants_to()), 0},
                    {backend, static_cast<short>(down.wants_from() | up.wants_to()), 0},
                    {control, 0, 0}};
    for (int i = 0; i < 2; ++i)
      if (fds[i].events == 0) fds[i].fd = -1;
    const base::Deadline limit = std::min(watcher.logged_in() ? base::Deadline::In(idle) : login, last_words);
    const int ready = poll(fds, 3, limit.PollMillis());
    if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
    if (ready <= 0 && !limit.Passed()) continue;
    if (fds[2].revents != 0) return absl::CancelledError("shutdown");
    if (last_words.Passed()) return absl::OutOfRangeError("the client has gone");
    if (limit.Passed()) return absl::DeadlineExceededError("time is over");
    // The backend first: if it ends, what it has said comes before what the client says next.
    if (fds[1].revents != 0 && down.wants_from() != 0) watcher.OnBackend(down.Read());
    if (!down.empty() && !down.Write()) return absl::UnavailableError("the client has gone");
    if (down.ended() && down.empty()) return absl::OkStatus();
    if (fds[0].revents != 0 && up.wants_from() != 0) watcher.OnClient(up.Read());
    if (!up.empty()) (void)up.Write();  // a backend that takes no more may have said why: that is still to be read
    if (up.lost()) return absl::OutOfRangeError("the client has gone");
    // It may have closed its own side only, behind a LOGOUT for example, and wait for the answers.
    if (up.ended() && up.empty() && last_words == base::Deadline::Never()) last_words = base::Deadline::In(kLastWords);
  }
}

}  // namespace postern::protocolbroker
