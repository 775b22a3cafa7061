#ifndef POSTERN_TLSWORKER_RELAY_H_
#define POSTERN_TLSWORKER_RELAY_H_

#include <openssl/ssl.h>
#include <string.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/time/time.h"
#include "base/deadline.h"

namespace postern::tlsworker {

// The largest TLS record (RFC 8446 §5.1).
inline constexpr size_t kRecordOctets = 16384;

// Octets on their way from one side to the other. A fixed buffer: what does not fit stays in the kernel, and the sender
// waits there.
template <size_t kOctets = kRecordOctets>
class Buffer {
 public:
  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  bool full() const { return size() == octets_.size(); }
  const char* data() const { return octets_.data() + begin_; }
  char* space() { return octets_.data() + end_; }
  size_t space_octets() const { return octets_.size() - end_; }
  void Added(size_t octets) { end_ += octets; }
  void Taken(size_t octets) {
    begin_ += octets;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  // Moves what is left to the front, so that all room is behind it.
  void Compact() {
    if (begin_ == 0) return;
    memmove(octets_.data(), data(), size());
    end_ = size();
    begin_ = 0;
  }

 private:
  size_t begin_ = 0, end_ = 0;
  std::array<char, kOctets> octets_;
};

// How many of the octets may go to a backend now. With `whole_lines` those after the last LF are held back: they are
// dropped when the connection is lost, as courierpop3d obeys an unterminated QUIT at end of file. A line that fills the
// buffer is passed on: it is no command.
size_t Passable(const Buffer<>& buffer, bool whole_lines, bool at_end);

enum class Why { kClientClosed, kClientLost, kBackendClosed, kIdle, kShutdown };
const char* Name(Why why);

struct Outcome {
  Why why;
  uint64_t from_client = 0, to_client = 0;  // octets of the plain text
};

// What was decided while the relay stood still.
enum class Answer {
  kGoOn,
  kEnd,     // as if the backend had ended
  kNobody,  // whoever might have asked has gone: go on
};

struct RelayOptions {
  bool whole_lines = false;                        // POP3
  absl::Duration idle = absl::InfiniteDuration();  // ends the session when no octet moves for so long
  // A descriptor that becomes readable when somebody wants to take off the plain side what the backend says next; -1:
  // nobody will. Once all that was said before has been passed on, `on_asked` is called; meanwhile nothing moves. What
  // it adds to the text is told to the client.
  int asked = -1;
  std::function<Answer(std::string*)> on_asked = nullptr;
};

// Moves octets both ways between TLS (`ssl` on `client`, handshake done) and the stream socket `plain` until one side
// has ended and the other has what was on its way. close_notify from the client is end of file for the backend, which
// may still answer; the backend's end of file is close_notify and then FIN for the client. End of file without
// close_notify is a lost connection. `control` hangs up with the supervisor. All descriptors are borrowed.
Outcome Relay(SSL* ssl, int client, int plain, int control, const RelayOptions& options);

}  // namespace postern::tlsworker

#endif  // POSTERN_TLSWORKER_RELAY_H_
