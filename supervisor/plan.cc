#include "supervisor/plan.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/status_macros.h"

namespace postern::supervisor {
namespace {

using config::Config;
using config::Listener;
using config::Service;
using Options = std::vector<std::string>;

std::string Seconds(absl::string_view name, absl::Duration duration) {
  return absl::StrCat("--", name, "=", absl::ToInt64Seconds(duration));
}

Options AcceptorOptions(const Config& config) {
  Options options = {absl::StrCat("--sessions=", config.limits.sessions),
                     absl::StrCat("--sessions-per-address=", config.limits.sessions_per_address)};
  for (size_t i = 0; i < config.services.size(); ++i)
    for (size_t j = 0; j < config.services[i].listeners.size(); ++j) {
      options.push_back(absl::StrCat("--listener=", i));
      options.push_back(absl::StrCat("--service=", config.services[i].name));
    }
  return options;
}

Options BrokerOptions(const Config& config) {
  Options options = {absl::StrCat("--sessions=", config.limits.sessions), Seconds("login-seconds", config.limits.login),
                     Seconds("handshake-seconds", config.limits.handshake)};
  for (size_t i = 0; i < config.services.size(); ++i)
    for (const Listener& listener : config.services[i].listeners) {
      const Service& service = config.services[i];
      options.push_back(absl::StrCat("--listener=", i));
      options.push_back(listener.implicit_tls ? "--tls=implicit" : "--tls=starttls");
      options.push_back(service.plaintext == config::Plaintext::kAllow ? "--plaintext=allow" : "--plaintext=refuse");
      for (const std::string& capability : service.capabilities)
        options.push_back(absl::StrCat("--capability=", capability));
    }
  return options;
}

Options TlsOptions(const Config& config) {
  Options options = {absl::StrCat("--sessions=", config.limits.sessions),
                     Seconds("handshake-seconds", config.limits.handshake),
                     Seconds("idle-seconds", config.limits.idle)};
  for (const Service& service : config.services) options.push_back(absl::StrCat("--service=", service.protocol));
  return options;
}

Options LauncherOptions(const Config& config) {
  Options options = {absl::StrCat("--login-attempts=", config.limits.login_attempts)};
  if (!StartedAsRoot()) options.push_back("--checkpassword-user=self");
  for (const Service& service : config.services) {
    options.push_back(absl::StrCat("--service=", service.name));
    for (const std::string& word : service.checkpassword) options.push_back(absl::StrCat("--checkpassword=", word));
    for (const std::string& word : service.backend) options.push_back(absl::StrCat("--backend=", word));
    for (const auto& [name, value] : service.environment)
      options.push_back(absl::StrCat("--environment=", name, "=", value));
    options.push_back(service.no_new_privs ? "--no-new-privs=yes" : "--no-new-privs=no");
  }
  return options;
}

// The order of the logger's `source` descriptors: the roles, the supervisor.
Options LoggerOptions() {
  Options options;
  for (const RoleName& role : kRoleNames) options.push_back(absl::StrCat("--source=", role.name));
  options.push_back("--source=supervisor");
  return options;
}

absl::StatusOr<sandbox::Identity> IdentityOf(const config::Roles& roles, RoleId role, const sandbox::Policy& policy) {
  if (!StartedAsRoot()) return sandbox::Identity{getuid(), getgid()};
  if (roles.uid_base.has_value()) {
    const uid_t uid = *roles.uid_base + kRoleNames[role].uid_offset;
    return sandbox::Identity{uid, uid};
  }
  const passwd* entry = getpwnam(policy.user.c_str());
  if (entry == nullptr)
    return absl::FailedPreconditionError(absl::StrCat(policy.name, ": no user \"", policy.user, "\" for ",
                                                      kRoleNames[role].name, " (adduser --system --group ", policy.user,
                                                      ", or set uid_base in [roles])"));
  if (entry->pw_uid == 0)
    return absl::FailedPreconditionError(absl::StrCat(policy.name, ": ", kRoleNames[role].name, " may not be root"));
  return sandbox::Identity{entry->pw_uid, entry->pw_gid};
}

}  // namespace

bool StartedAsRoot() { return geteuid() == 0; }

absl::StatusOr<Plan> MakePlan(Config config) {
  Plan plan;
  ASSIGN_OR_RETURN(plan.layout, FindLayout(config.roles));
  std::vector<std::string> errors;
  const auto need_program = [&](const std::string& path) {
    if (access(path.c_str(), X_OK) != 0) errors.push_back(absl::StrCat(path, ": ", strerror(errno)));
  };
  const Options options[] = {LoggerOptions(), LauncherOptions(config), TlsOptions(config), BrokerOptions(config),
                             AcceptorOptions(config)};
  for (size_t i = 0; i < kRoles; ++i) {
    RolePlan& role = plan.roles[i];
    role.binary = plan.layout.binaries[i];
    role.policy_path = plan.layout.policies[i];
    role.options = options[i];
    need_program(role.binary);
    absl::StatusOr<sandbox::Policy> policy = sandbox::LoadPolicy(role.policy_path);
    if (!policy.ok()) {
      errors.emplace_back(policy.status().message());
      continue;
    }
    role.policy = *std::move(policy);
    absl::StatusOr<sandbox::Identity> identity = IdentityOf(config.roles, static_cast<RoleId>(i), role.policy);
    if (identity.ok())
      role.identity = *identity;
    else
      errors.emplace_back(identity.status().message());
  }
  need_program(plan.layout.begin);
  plan.config = std::move(config);
  if (!errors.empty()) return absl::FailedPreconditionError(absl::StrJoin(errors, "\n"));
  return plan;
}

}  // namespace postern::supervisor
