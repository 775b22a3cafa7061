#ifndef POSTERN_PROTOCOLBROKER_TLS_SIDE_H_
#define POSTERN_PROTOCOLBROKER_TLS_SIDE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/deadline.h"
#include "ipc/channel.h"

namespace postern::protocolbroker {

using TlsChannel = ipc::Channel<ipc::Role::kProtocolBroker, ipc::Role::kTlsWorker>;

// A tlsworker that has taken a client over, its handshake done.
class TlsSide {
 public:
  // Hands `client` and one end of a stream, `plain`, to a tlsworker and waits for its handshake. The caller's copies
  // stay his. With kHold the tlsworker leaves `plain` alone until Resume(). Aborted "tls_failed": the handshake
  // failed, and the client has been told. DeadlineExceeded and Cancelled as role::Wait().
  static absl::StatusOr<TlsSide> Start(const TlsChannel& tls, const ipc::StartTls& request, int client, int plain,
                                       int life, int control, const base::Deadline& deadline);

  const ipc::TlsFacts& facts() const { return facts_; }
  // With kMayHold: from now on the tlsworker leaves `plain` alone, and has passed on all that it had said. Errors as
  // Start(); Aborted "tls_ended": the tlsworker has gone.
  absl::Status Hold(int control, const base::Deadline& deadline) const;
  // Then this line (without its CRLF; none if it is empty) is told to the client, and `next` happens.
  absl::Status Resume(absl::string_view line, ipc::Next next) const;
  // Hangs up when the tlsworker ends.
  int reply_line() const { return reply_.fd(); }

 private:
  TlsSide() = default;

  ipc::Channel<ipc::Role::kProtocolBroker, ipc::Role::kTlsWorker> reply_;
  ipc::TlsFacts facts_;
};

}  // namespace postern::protocolbroker

#endif  // POSTERN_PROTOCOLBROKER_TLS_SIDE_H_
