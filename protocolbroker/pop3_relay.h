#ifndef POSTERN_PROTOCOLBROKER_POP3_RELAY_H_
#define POSTERN_PROTOCOLBROKER_POP3_RELAY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/deadline.h"
#include "protocolbroker/pop3/passthrough.h"

namespace postern::protocolbroker {

// Both are stream sockets, borrowed.
struct RelayEnds {
  int client, backend, control;
};

// A session in clear text with a backend that does the login itself, one command at a time. `line` is the one that has
// been read already, and is wiped once the backend has it. `login` is when the time for the login is over; afterwards a
// session may be silent for `idle`. Ok: the backend has ended it. OutOfRange, Unavailable: the client has gone.
// InvalidArgument: a line was too long. DeadlineExceeded and Cancelled as role::Wait().
absl::Status RelayPop3(const RelayEnds& ends, pop3::Passthrough& passthrough, std::string& line,
                       const base::Deadline& login, absl::Duration idle);

}  // namespace postern::protocolbroker

#endif  // POSTERN_PROTOCOLBROKER_POP3_RELAY_H_
