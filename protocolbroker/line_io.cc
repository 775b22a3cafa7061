#include "protocolbroker/line_io.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "role/role.h"

namespace postern::protocolbroker {
namespace {

constexpr size_t kPeekOctets = 1024;
constexpr size_t kRoomMin = 64;  // more than a std::string keeps in itself, where each move would leave a copy

// What recv(2) has said. Ok with less than 0: nothing is there yet.
absl::Status Received(ssize_t octets) {
  if (octets == 0) return absl::OutOfRangeError("end of file");
  if (octets > 0 || errno == EAGAIN || errno == EINTR) return absl::OkStatus();
  if (errno == ECONNRESET || errno == ETIMEDOUT) return absl::OutOfRangeError(strerror(errno));
  return absl::ErrnoToStatus(errno, "recv");
}

// Moves the octets up to the LF, or all there are if there is none, from the stream to `line`. All of them even then: a
// peek that is left lying makes poll(2) return at once for ever.
absl::Status TakeSome(int stream, size_t octets_max, std::string* line) {
  char buffer[kPeekOctets];
  const size_t want = std::min(sizeof buffer, octets_max - line->size());
  const ssize_t peeked = recv(stream, buffer, want, MSG_PEEK | MSG_DONTWAIT);
  RETURN_IF_ERROR(Received(peeked));
  if (peeked < 0) return absl::OkStatus();
  const void* lf = memchr(buffer, '\n', static_cast<size_t>(peeked));
  const size_t take =
      lf == nullptr ? static_cast<size_t>(peeked) : static_cast<size_t>(static_cast<const char*>(lf) - buffer) + 1;
  // The same octets again: nobody else reads from this stream.
  const ssize_t taken = recv(stream, buffer, take, MSG_DONTWAIT);
  if (taken != static_cast<ssize_t>(take)) return absl::InternalError("octets vanished between peek and read");
  line->append(buffer, take);
  explicit_bzero(buffer, sizeof buffer);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Line> ReadLine(int stream, size_t octets_max, int control, const base::Deadline& deadline, int partner) {
  Line line;
  // Neither growth nor a move leaves a copy of it behind: it may be a password.
  line.text.reserve(std::max(octets_max, kRoomMin));
  while (true) {
    RETURN_IF_ERROR(role::Wait(stream, POLLIN, control, deadline, partner));
    RETURN_IF_ERROR(TakeSome(stream, octets_max, &line.text));
    if (absl::EndsWith(line.text, "\n")) {
      line.text.pop_back();
      line.ending = absl::EndsWith(line.text, "\r") ? Ending::kCrLf : Ending::kBareLf;
      if (line.ending == Ending::kCrLf) line.text.pop_back();
      return line;
    }
    if (line.text.size() == octets_max) {
      line.ending = Ending::kTooLong;
      return line;
    }
  }
}

absl::StatusOr<std::string> ReadOctets(int stream, size_t octets, int control, const base::Deadline& deadline,
                                       int partner) {
  std::string text;
  text.reserve(std::max(octets, kRoomMin));  // as for a line
  while (text.size() < octets) {
    RETURN_IF_ERROR(role::Wait(stream, POLLIN, control, deadline, partner));
    char buffer[kPeekOctets];
    const ssize_t taken = recv(stream, buffer, std::min(sizeof buffer, octets - text.size()), MSG_DONTWAIT);
    RETURN_IF_ERROR(Received(taken));
    if (taken > 0) text.append(buffer, static_cast<size_t>(taken));
    explicit_bzero(buffer, sizeof buffer);
  }
  return text;
}

absl::Status Drop(int stream, size_t octets, int control, const base::Deadline& deadline, int partner) {
  while (octets > 0) {
    ASSIGN_OR_RETURN(const std::string dropped,
                     ReadOctets(stream, std::min(octets, kPeekOctets), control, deadline, partner));
    octets -= dropped.size();
  }
  return absl::OkStatus();
}

bool MoreBuffered(int stream) {
  char octet;
  return recv(stream, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void DropBuffered(int stream) {
  constexpr int kReadsMax = 64;  // a peer that goes on sending gets its reset
  char dropped[4096];
  for (int i = 0; i < kReadsMax && recv(stream, dropped, sizeof dropped, MSG_DONTWAIT) > 0; ++i) {
  }
}

absl::Status WriteAll(int stream, absl::string_view text, int control, const base::Deadline& deadline, int partner) {
  while (!text.empty()) {
    // Not O_NONBLOCK: that would travel with the description to the backend.
    const ssize_t sent = send(stream, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      text.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(role::Wait(stream, POLLOUT, control, deadline, partner));
    } else if (errno != EINTR) {
      return absl::UnavailableError(absl::StrCat("send: ", strerror(errno)));
    }
  }
  return absl::OkStatus();
}

}  // namespace postern::protocolbroker
