#include "protocolbroker/pop3_relay.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "protocolbroker/line_io.h"
#include "role/role.h"

namespace postern::protocolbroker {
namespace {

constexpr size_t kPieceOctets = 16384;

class Relay {
 public:
  Relay(const RelayEnds& ends, pop3::Passthrough& passthrough, const base::Deadline& login, absl::Duration idle)
      : ends_(ends), passthrough_(passthrough), login_(login), idle_(idle) {}

  // False: the backend has ended.
  absl::StatusOr<bool> Command(absl::string_view line) {
    std::string octets = absl::StrCat(line, "\r\n");
    const absl::Status sent = WriteAll(ends_.backend, octets, ends_.control, Limit());
    explicit_bzero(octets.data(), octets.size());
    // A backend that takes no more may have said why: that is read below.
    if (!sent.ok() && !absl::IsUnavailable(sent)) return sent;
    while (true) {
      RETURN_IF_ERROR(Wait(0).status());
      ASSIGN_OR_RETURN(const Piece piece, PassPiece());
      if (piece != Piece::kSome) return piece == Piece::kLast;
    }
  }

  absl::Status Serve() {
    while (true) {
      ASSIGN_OR_RETURN(const Ready ready, Wait(POLLIN));
      // The backend first: if it says something unasked, or ends, that comes before the answer to what is next.
      if (ready == Ready::kBackend) {
        ASSIGN_OR_RETURN(const Piece piece, PassPiece());
        if (piece == Piece::kEnd) return absl::OkStatus();
      } else {
        ASSIGN_OR_RETURN(const bool goes_on, OnClient());
        if (!goes_on) return absl::OkStatus();
      }
    }
  }

 private:
  enum class Piece { kSome, kLast, kEnd };
  enum class Ready { kBackend, kClient };

  // For the backend to say something or, with POLLIN as `of_client`, the client. OutOfRange: the client is not there
  // any more; without POLLIN that is seen only once it has closed both directions.
  absl::StatusOr<Ready> Wait(short of_client) const {
    pollfd fds[] = {{ends_.client, of_client, 0}, {ends_.backend, POLLIN, 0}, {ends_.control, 0, 0}};
    const base::Deadline limit = Limit();
    while (true) {
      const int ready = poll(fds, 3, limit.PollMillis());
      if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
      if (ready > 0 && fds[2].revents != 0) return absl::CancelledError("shutdown");
      if (limit.Passed()) return absl::DeadlineExceededError("time is over");
      if (ready > 0 && fds[1].revents != 0) return Ready::kBackend;
      if (ready > 0 && (fds[0].revents & POLLIN) != 0) return Ready::kClient;
      if (ready > 0) return absl::OutOfRangeError("the client has gone");
    }
  }

  // From now, for the next wait.
  base::Deadline Limit() const { return passthrough_.logged_in() ? base::Deadline::In(idle_) : login_; }

  absl::StatusOr<bool> OnClient() {
    const size_t octets_max = passthrough_.line_octets_max();
    ASSIGN_OR_RETURN(Line line, ReadLine(ends_.client, octets_max, ends_.control, Limit()));
    if (line.ending == Ending::kTooLong) {
      RETURN_IF_ERROR(Say("-ERR line too long\r\n"));
      DropBuffered(ends_.client);
      return absl::InvalidArgumentError("line_too_long");
    }
    if (line.ending == Ending::kBareLf) {
      explicit_bzero(line.text.data(), line.text.size());
      if (!passthrough_.challenged()) {
        RETURN_IF_ERROR(Say("-ERR a line ends in CR LF, not in a bare LF\r\n"));
        return true;
      }
      line.text.assign(1, '*');  // cancels (RFC 5034 §4): else the backend would take the next command for the answer
    }
    const std::string answer = passthrough_.OnLine(line.text);
    absl::StatusOr<bool> goes_on = true;
    if (answer.empty())
      goes_on = Command(line.text);
    else if (const absl::Status said = Say(answer); !said.ok())
      goes_on = said;
    explicit_bzero(line.text.data(), line.text.size());
    return goes_on;
  }

  // What the backend has said, to the client.
  absl::StatusOr<Piece> PassPiece() {
    char octets[kPieceOctets];
    const ssize_t taken = recv(ends_.backend, octets, sizeof octets, MSG_DONTWAIT);
    if (taken < 0 && (errno == EAGAIN || errno == EINTR)) return Piece::kSome;
    if (taken <= 0) return Piece::kEnd;  // a reset is an end too
    const absl::string_view text(octets, static_cast<size_t>(taken));
    const bool complete = passthrough_.OnReply(text);
    RETURN_IF_ERROR(Say(text));
    return complete ? Piece::kLast : Piece::kSome;
  }

  absl::Status Say(absl::string_view text) { return WriteAll(ends_.client, text, ends_.control, Limit()); }

  const RelayEnds& ends_;
  pop3::Passthrough& passthrough_;
  const base::Deadline login_;
  const absl::Duration idle_;
};

}  // namespace

absl::Status RelayPop3(const RelayEnds& ends, pop3::Passthrough& passthrough, std::string& line,
                       const base::Deadline& login, absl::Duration idle) {
  Relay relay(ends, passthrough, login, idle);
  (void)passthrough.OnLine(line);  // a PASS or AUTH: never answered for the backend
  const absl::StatusOr<bool> goes_on = relay.Command(line);
  explicit_bzero(line.data(), line.size());
  RETURN_IF_ERROR(goes_on.status());
  return *goes_on ? relay.Serve() : absl::OkStatus();
}

}  // namespace postern::protocolbroker
