#include "protocolbroker/tls_side.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/status_macros.h"
#include "role/role.h"

namespace postern::protocolbroker {

absl::StatusOr<TlsSide> TlsSide::Start(const TlsChannel& tls, const ipc::StartTls& request, int client, int plain,
                                       int life, int control, const base::Deadline& deadline) {
  ASSIGN_OR_RETURN(auto ends, ipc::SocketPair(SOCK_SEQPACKET));
  TlsSide side;
  side.reply_ = decltype(side.reply_)(std::move(ends.first));
  RETURN_IF_ERROR(tls.Send(request, {client, plain, ends.second.get(), life}));
  ends.second.Reset();
  RETURN_IF_ERROR(role::Wait(side.reply_.fd(), POLLIN, control, deadline));
  const auto started = side.reply_.Receive<ipc::TlsStarted>();
  if (absl::IsOutOfRange(started.status())) return absl::AbortedError("tls_failed");
  RETURN_IF_ERROR(started.status());
  side.facts_ = started->body.facts;
  return side;
}

absl::Status TlsSide::Hold(int control, const base::Deadline& deadline) const {
  RETURN_IF_ERROR(reply_.Send(ipc::Hold{}));
  RETURN_IF_ERROR(role::Wait(reply_.fd(), POLLIN, control, deadline));
  const absl::Status held = reply_.Receive<ipc::Held>().status();
  return absl::IsOutOfRange(held) ? absl::AbortedError("tls_ended") : held;
}

absl::Status TlsSide::Resume(absl::string_view line, ipc::Next next) const {
  return reply_.Send(ipc::Resume{decltype(ipc::Resume::line)::From(line), next});
}

}  // namespace postern::protocolbroker
