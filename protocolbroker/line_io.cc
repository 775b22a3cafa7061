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

// Moves the octets up to the LF, or all there are if there is none, from the stream to `line`. All of them even then: a
// peek that is left lying makes poll(2) return at once for ever.
absl::Status TakeSome(int stream, size_t octets_max, std::string* line) {
  char buffer[kPeekOctets];
  const size_t want = std::min(sizeof buffer, octets_max - line->size());
  const ssize_t peeked = recv(stream, buffer, want, MSG_PEEK | MSG_DONTWAIT);
  if (peeked == 0) return absl::OutOfRangeError("end of file");
  if (peeked < 0) {
    if (errno == EAGAIN || errno == EINTR) return absl::OkStatus();
    if (errno == ECONNRESET || errno == ETIMEDOUT) return absl::OutOfRangeError(strerror(errno));
    return absl::ErrnoToStatus(errno, "recv");
  }
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

absl::StatusOr<Line> ReadLine(int stream, size_t octets_max, int control, const base::Deadline& deadline) {
  Line line;
  line.text.reserve(octets_max);  // neither growth nor a move leaves a copy of it behind: it may be a password
  while (true) {
    RETURN_IF_ERROR(role::Wait(stream, POLLIN, control, deadline));
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

absl::Status WriteAll(int stream, absl::string_view text, int control, const base::Deadline& deadline) {
  while (!text.empty()) {
    // Not O_NONBLOCK: that would travel with the description to the backend.
    const ssize_t sent = send(stream, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      text.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(role::Wait(stream, POLLOUT, control, deadline));
    } else if (errno != EINTR) {
      return absl::UnavailableError(absl::StrCat("send: ", strerror(errno)));
    }
  }
  return absl::OkStatus();
}

}  // namespace postern::protocolbroker
