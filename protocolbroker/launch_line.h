#ifndef POSTERN_PROTOCOLBROKER_LAUNCH_LINE_H_
#define POSTERN_PROTOCOLBROKER_LAUNCH_LINE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/deadline.h"
#include "base/unique_fd.h"
#include "ipc/channel.h"

namespace postern::protocolbroker {

// The broker's end of a launch line: the right to log in, or to reach the backend, for one client. Every call blocks
// until the launcher has answered. Unavailable, OutOfRange: the launcher has gone, or does not take what is sent.
// DeadlineExceeded and Cancelled as role::Wait().
class LaunchLine {
 public:
  LaunchLine(base::UniqueFd socket, int control) : channel_(std::move(socket)), control_(control) {}

  // For a backend elsewhere: the socket that Connect() will connect. It is sent unasked, at the beginning.
  absl::StatusOr<base::UniqueFd> TakeBackendSocket(const base::Deadline& deadline);

  // By checkpassword, in two phases (docs/processes.md). `stream` becomes the backend's and answers the client; it
  // stays the caller's too, and is his alone as long as the outcome is not kAccepted. `tag`: of the login, for a
  // backend that speaks IMAP; may be empty.
  absl::StatusOr<ipc::LoginOutcome> LogIn(const std::string& user, const std::string& password, absl::string_view tag,
                                          const ipc::TlsFacts& facts, const base::UniqueFd& stream,
                                          const base::Deadline& deadline);
  // Starts a backend that does the login itself; `stream` becomes its 0 and 1. The errno, 0 if it runs.
  absl::StatusOr<int> StartBackend(const ipc::TlsFacts& facts, const base::UniqueFd& stream,
                                   const base::Deadline& deadline);
  // Connects what TakeBackendSocket() gave. The errno, 0 if it is connected.
  absl::StatusOr<int> Connect(const ipc::TlsFacts& facts, const base::Deadline& deadline);

  // Once a backend runs: `tether` (borrowed) hangs up when nobody is left between it and the client. Ends the line.
  void Tether(int tether);

 private:
  absl::StatusOr<int> AwaitStarted(const base::Deadline& deadline);

  ipc::Channel<ipc::Role::kProtocolBroker, ipc::Role::kBackendLauncher> channel_;
  const int control_;
};

}  // namespace postern::protocolbroker

#endif  // POSTERN_PROTOCOLBROKER_LAUNCH_LINE_H_
