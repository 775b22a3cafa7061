#ifndef POSTERN_SUPERVISOR_LISTEN_H_
#define POSTERN_SUPERVISOR_LISTEN_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "config/config.h"

namespace postern::supervisor {

// A listening TCP socket on the address; IPv6 ones take IPv6 only. Clients accepted from it are asked after `keepalive`
// of silence whether they are still there. Unavailable: the address is in use, or not ours.
absl::StatusOr<base::UniqueFd> OpenListener(const config::Listener& listener, absl::Duration keepalive);

}  // namespace postern::supervisor

#endif  // POSTERN_SUPERVISOR_LISTEN_H_
