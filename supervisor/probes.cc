#include "supervisor/probes.h"

#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/socket_address.h"
#include "base/status_macros.h"
#include "ipc/channel.h"
#include "supervisor/spawn.h"

namespace postern::supervisor {
namespace {

using base::UniqueFd;

// A connection under way, or none: whether it comes about the broker will see.
UniqueFd Connect(const config::Service& service) {
  sockaddr_storage address;
  socklen_t octets;
  if (!base::ReadAddressOrPath(service.connect, &address, &octets).empty()) return UniqueFd();
  UniqueFd socket(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.valid() && connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), octets) != 0 &&
      errno != EINPROGRESS)
    socket.Reset();
  return socket;
}

}  // namespace

absl::StatusOr<std::vector<UniqueFd>> Probes::Start(const Plan& plan, int log, int stderr_fd) {
  End();
  std::vector<UniqueFd> backends;
  for (const Asked& asked : plan.asked) {
    const config::Service& service = plan.config.services[asked.service];
    ASSIGN_OR_RETURN(auto pair, ipc::SocketPair(SOCK_STREAM));
    if (service.connect.empty()) {
      const auto pid = Spawn(asked.probe, {{"log", log}, {"stream", pair.second.get()}, {"stderr", stderr_fd}}, -1);
      if (pid.ok()) pids_.push_back(*pid);
      backends.push_back(std::move(pair.first));
    } else {
      UniqueFd socket = Connect(service);
      backends.push_back(std::move(socket.valid() ? socket : pair.first));
    }
  }
  return backends;
}

void Probes::End() {
  for (pid_t pid : pids_) kill(pid, SIGKILL);
}

bool Probes::OnEnd(pid_t pid) { return std::erase(pids_, pid) != 0; }

}  // namespace postern::supervisor
