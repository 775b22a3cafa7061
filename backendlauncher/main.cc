// backendlauncher: the one part that keeps power (setuid, setgid, kill). It runs commands that the configuration names,
// by index, for clients that the acceptor names; as pid 1 of a PID namespace that holds the backends and nobody else.

#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "backendlauncher/launcher.h"
#include "base/status_macros.h"
#include "ipc/channel.h"
#include "role/role.h"

namespace postern::backendlauncher {
namespace {

using ipc::Role;

absl::StatusOr<Config> ReadConfig(const role::Options& options) {
  Config config;
  for (const auto& option : options) {
    const auto& [name, value] = option;
    if (name == "login-attempts") {
      ASSIGN_OR_RETURN(config.login_attempts, role::Number(option));
    } else if (name == "checkpassword-user") {
      if (value != "self") return absl::InvalidArgumentError("--checkpassword-user knows only \"self\"");
      config.checkpassword_uid = getuid();
      config.checkpassword_gid = getgid();
    } else if (name == "service") {
      config.services.push_back({value, {}, {}, {}, true});
    } else if (config.services.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " before --service"));
    } else if (name == "checkpassword") {
      config.services.back().checkpassword.push_back(value);
    } else if (name == "backend") {
      config.services.back().backend.push_back(value);
    } else if (name == "environment") {
      config.services.back().environment.push_back(value);
    } else if (name == "no-new-privs") {
      config.services.back().no_new_privs = value != "no";
    }
  }
  for (const Service& service : config.services)
    if (service.checkpassword.empty() || service.backend.empty())
      return absl::InvalidArgumentError(absl::StrCat("service ", service.name, " lacks a command"));
  return config;
}

absl::Status Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(role::Start start, role::Begin(argc, argv,
                                                  {"login-attempts", "checkpassword-user", "service", "checkpassword",
                                                   "backend", "environment", "no-new-privs"}));
  ASSIGN_OR_RETURN(Config config, ReadConfig(start.options));
  ipc::Channel<Role::kBackendLauncher, Role::kSupervisor> supervisor(std::move(start.control));
  ipc::Channel<Role::kBackendLauncher, Role::kAcceptor> acceptor(start.fds.Take("acceptor"));
  base::UniqueFd stderr_socket = start.fds.Take("stderr");
  base::UniqueFd begin = start.fds.Take("begin");
  RETURN_IF_ERROR(start.fds.Finished());

  // Its filter is in place already (the policy's stage "enter"): without no_new_privs only a process that has not yet
  // given up its powers may load one.
  Launcher launcher(std::move(config), std::move(supervisor), std::move(acceptor), std::move(stderr_socket),
                    std::move(begin));
  RETURN_IF_ERROR(launcher.Prepare());
  return launcher.Serve();
}

}  // namespace
}  // namespace postern::backendlauncher

int main(int argc, char** argv) { return postern::base::Finish(postern::backendlauncher::Run(argc, argv)); }
