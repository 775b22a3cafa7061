#ifndef POSTERN_PROTOCOLBROKER_OCTET_RELAY_H_
#define POSTERN_PROTOCOLBROKER_OCTET_RELAY_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/deadline.h"

namespace postern::protocolbroker {

// Who looks at what passes, without changing it. Pure.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void OnClient(absl::string_view octets) = 0;
  virtual void OnBackend(absl::string_view octets) = 0;
  // From then on a session may be as long as it likes.
  virtual bool logged_in() const = 0;
};

// Moves octets between two stream sockets, both borrowed, until one side ends. `login` is when the time for the login
// is over; afterwards a session may be silent for `idle`. Ok: the backend has ended it, and the client has all of what
// it said. OutOfRange, Unavailable: the client has gone. DeadlineExceeded and Cancelled as role::Wait().
absl::Status RelayOctets(int client, int backend, int control, Watcher& watcher, const base::Deadline& login,
                         absl::Duration idle);

}  // namespace postern::protocolbroker

#endif  // POSTERN_PROTOCOLBROKER_OCTET_RELAY_H_
