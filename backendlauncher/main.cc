// backendlauncher: the one part that keeps power (setuid, setgid, kill). It runs commands that the configuration names,
// by index, for clients that the acceptor names; as pid 1 of a PID namespace that holds the backends and nobody else.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "backendlauncher/launcher.h"
#include "base/socket_address.h"
#include "base/status_macros.h"
#include "ipc/channel.h"
#include "role/role.h"

namespace postern::backendlauncher {
namespace {

using ipc::Role;

// "UID:GID", then the supplementary groups, each behind a colon.
absl::StatusOr<User> ReadUser(absl::string_view text) {
  std::vector<gid_t> numbers;
  for (absl::string_view part : absl::StrSplit(text, ':')) {
    gid_t number;
    if (!absl::SimpleAtoi(part, &number)) return absl::InvalidArgumentError("--user wants numbers");
    numbers.push_back(number);
  }
  if (numbers.size() < 2) return absl::InvalidArgumentError("--user wants UID:GID");
  return User{numbers[0], numbers[1], {numbers.begin() + 2, numbers.end()}};
}

absl::Status ReadServiceOption(const std::pair<std::string, std::string>& option, Service* service) {
  const auto& [name, value] = option;
  if (name == "checkpassword") {
    service->checkpassword.push_back(value);
  } else if (name == "backend") {
    service->backend.push_back(value);
  } else if (name == "environment") {
    service->environment.push_back(value);
  } else if (name == "login") {
    if (value == "backend") service->login = Login::kBackend;
    if (value == "connect") service->login = Login::kConnect;
  } else if (name == "user") {
    ASSIGN_OR_RETURN(service->user, ReadUser(value));
  } else if (name == "confinement") {
    ASSIGN_OR_RETURN(service->confinement, FromWord(value));
  } else if (name == "proxy-protocol") {
    ASSIGN_OR_RETURN(service->proxy_version, role::Number(option));
  } else if (name == "connect") {
    service->connect = value;
    const absl::string_view problem =
        base::ReadAddressOrPath(value, &service->connect_address, &service->connect_octets);
    if (!problem.empty()) return absl::InvalidArgumentError(absl::StrCat("--connect=", value, " ", problem));
  }
  return absl::OkStatus();
}

absl::Status CheckService(const Service& service) {
  const bool needs_backend = service.login != Login::kConnect;
  const bool needs_checkpassword = service.login == Login::kCheckpassword;
  if (needs_backend == service.backend.empty() || needs_checkpassword == service.checkpassword.empty())
    return absl::InvalidArgumentError(absl::StrCat("service ", service.name, " has the wrong commands"));
  return absl::OkStatus();
}

absl::StatusOr<Config> ReadConfig(const role::Options& options) {
  Config config;
  for (const auto& option : options) {
    if (option.first == "login-attempts") {
      ASSIGN_OR_RETURN(config.login_attempts, role::Number(option));
    } else if (option.first == "login-penalty") {
      ASSIGN_OR_RETURN(config.login_penalty, role::Number(option));
    } else if (option.first == "backend-end-seconds") {
      ASSIGN_OR_RETURN(const int seconds, role::Number(option));
      config.backend_end = absl::Seconds(seconds);
    } else if (option.first == "leftover-seconds") {
      ASSIGN_OR_RETURN(const int seconds, role::Number(option));
      config.leftover = absl::Seconds(seconds);
    } else if (option.first == "service") {
      config.services.emplace_back();
      config.services.back().name = option.second;
    } else if (config.services.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--", option.first, " before --service"));
    } else {
      RETURN_IF_ERROR(ReadServiceOption(option, &config.services.back()));
    }
  }
  for (const Service& service : config.services) RETURN_IF_ERROR(CheckService(service));
  return config;
}

absl::Status Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(
      role::Start start,
      role::Begin(argc, argv,
                  {"login-attempts", "login-penalty", "backend-end-seconds", "leftover-seconds", "service", "login",
                   "user", "checkpassword", "backend", "connect", "proxy-protocol", "environment", "confinement"}));
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
