#ifndef POSTERN_PROTOCOLBROKER_LINE_IO_H_
#define POSTERN_PROTOCOLBROKER_LINE_IO_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/deadline.h"
#include "protocolbroker/ending.h"

namespace postern::protocolbroker {

struct Line {
  std::string text;  // without its line end
  Ending ending;
};

// Takes exactly one line off the stream socket and not an octet more (design invariant: no octet is read from a stream
// that is not consumed), so that the stream can be handed over as a descriptor after any line. A line of more than
// `octets_max` octets, its end included, comes back as kTooLong with its beginning; the rest stays on the stream.
// OutOfRange: end of file, with or without a begun line. DeadlineExceeded, Cancelled and `partner` as role::Wait().
absl::StatusOr<Line> ReadLine(int stream, size_t octets_max, int control, const base::Deadline& deadline,
                              int partner = -1);

// Takes exactly so many octets off the stream; Drop() takes them and keeps none. Errors as ReadLine().
absl::StatusOr<std::string> ReadOctets(int stream, size_t octets, int control, const base::Deadline& deadline,
                                       int partner = -1);
absl::Status Drop(int stream, size_t octets, int control, const base::Deadline& deadline, int partner = -1);

// Whether the peer has sent octets that nobody has taken yet. Takes none.
bool MoreBuffered(int stream);

// Takes and drops what the peer has sent so far, at the end of a session: closing with octets unread would send a
// reset, which may overtake what was said last.
void DropBuffered(int stream);

// Writes all of `text`, however slowly the peer reads, until the deadline. Unavailable: the peer is gone. `partner` as
// role::Wait().
absl::Status WriteAll(int stream, absl::string_view text, int control, const base::Deadline& deadline,
                      int partner = -1);

}  // namespace postern::protocolbroker

#endif  // POSTERN_PROTOCOLBROKER_LINE_IO_H_
