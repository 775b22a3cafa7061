#include "supervisor/plan.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include <map>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "backendlauncher/confine.h"
#include "backendlauncher/proxy_header.h"
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

std::string LoginOption(const Service& service) {
  if (service.login == config::Login::kCheckpassword) return "--login=checkpassword";
  return service.connect.empty() ? "--login=backend" : "--login=connect";
}

Options BrokerOptions(const Config& config) {
  Options options = {absl::StrCat("--sessions=", config.limits.sessions), Seconds("login-seconds", config.limits.login),
                     Seconds("handshake-seconds", config.limits.handshake),
                     Seconds("idle-seconds", config.limits.idle)};
  for (size_t i = 0; i < config.services.size(); ++i) {
    const Service& service = config.services[i];
    if (service.capabilities.has_value()) continue;
    options.push_back(absl::StrCat("--ask=", i));
    options.push_back(absl::StrCat("--service=", service.name));
    if (service.proxy_protocol != 0)
      options.push_back(absl::StrCat(
          "--first=", absl::BytesToHexString(backendlauncher::ProxyHeaderForNobody(service.proxy_protocol))));
  }
  for (size_t i = 0; i < config.services.size(); ++i)
    for (const Listener& listener : config.services[i].listeners) {
      const Service& service = config.services[i];
      options.push_back(absl::StrCat("--listener=", i));
      options.push_back(absl::StrCat("--protocol=", service.protocol));
      options.push_back(LoginOption(service));
      options.push_back(service.preauth_greeting ? "--greeting=preauth" : "--greeting=tag");
      options.push_back(listener.implicit_tls ? "--tls=implicit" : "--tls=starttls");
      options.push_back(service.plaintext == config::Plaintext::kAllow ? "--plaintext=allow" : "--plaintext=refuse");
      if (!service.capabilities.has_value()) continue;
      for (const std::string& capability : *service.capabilities)
        options.push_back(absl::StrCat("--capability=", capability));
    }
  return options;
}

Options TlsOptions(const Config& config) {
  Options options = {absl::StrCat("--sessions=", config.limits.sessions),
                     Seconds("handshake-seconds", config.limits.handshake),
                     Seconds("idle-seconds", config.limits.idle)};
  for (const Service& service : config.services) {
    options.push_back(absl::StrCat("--service=", service.protocol));
    options.push_back(absl::StrCat("--certificates=", service.certificates.size()));
  }
  return options;
}

// All but the one that setresuid(2) takes for "leave it", and a program would keep the launcher's own by.
bool ReadNumber(const std::string& text, id_t* number) {
  return absl::SimpleAtoi(text, number) && *number != static_cast<id_t>(-1);
}

// By the system's database; a number that it does not know is its own group.
std::optional<sandbox::Identity> FindUser(const std::string& name) {
  if (const passwd* entry = getpwnam(name.c_str()); entry != nullptr)
    return sandbox::Identity{entry->pw_uid, entry->pw_gid};
  uid_t number;
  if (!ReadNumber(name, &number)) return std::nullopt;
  return sandbox::Identity{number, number};
}

// "--user=UID:GID" and the groups, of checkpassword or of a backend that does the login itself.
std::string UserOption(const Config& config, const Service& service, std::vector<std::string>* errors) {
  const auto report = [&](const config::Name& name, absl::string_view problem) {
    errors->push_back(At(config, name.place, problem));
  };
  sandbox::Identity identity = {geteuid(), getegid()};
  if (service.user.has_value()) {
    const std::optional<sandbox::Identity> user = FindUser(service.user->text);
    if (!user.has_value())
      report(*service.user, absl::StrCat("user: there is no user \"", service.user->text, "\""));
    else if (!StartedAsRoot() && user->uid != identity.uid)
      report(*service.user, "user: only root can start programs as another user");
    identity = user.value_or(identity);
  }
  std::string option = absl::StrCat("--user=", identity.uid, ":", identity.gid);
  for (const config::Name& group : service.groups) {
    const struct group* entry = getgrnam(group.text.c_str());
    gid_t number = 0;
    if (entry != nullptr)
      number = entry->gr_gid;
    else if (!ReadNumber(group.text, &number))
      report(group, absl::StrCat("groups: there is no group \"", group.text, "\""));
    absl::StrAppend(&option, ":", number);
    if (!StartedAsRoot()) report(group, "groups: only root can give groups to a program");
  }
  return option;
}

std::string ConfinementOption(const Service& service) {
  constexpr int64_t kMib = 1 << 20;
  const config::BackendLimits& limits = service.backend_limits;
  const auto octets = [](const std::optional<int64_t>& mib) {
    return mib.has_value() ? *mib * kMib : backendlauncher::Confinement::kInherited;
  };
  const auto number = [](const std::optional<int64_t>& value) {
    return value.value_or(backendlauncher::Confinement::kInherited);
  };
  return absl::StrCat("--confinement=",
                      backendlauncher::ToWord({service.no_new_privs, octets(limits.memory_mib),
                                               number(limits.open_files), number(limits.processes),
                                               number(limits.cpu_seconds), octets(limits.file_mib), limits.nice}));
}

Options ProbeOptions(const Service& service) {
  Options options = {LoginOption(service), ConfinementOption(service)};
  for (const std::string& word : service.backend) options.push_back(absl::StrCat("--backend=", word));
  for (const auto& [name, value] : service.environment)
    options.push_back(absl::StrCat("--environment=", name, "=", value));
  return options;
}

// What was announced before the login is to be true after it, unless the configuration tells courier's programs more (a
// backend that does the login itself has to be told of AUTH=). Never two of one name: which one counts would differ.
std::map<std::string, std::string> BackendEnvironment(const Service& service) {
  std::map<std::string, std::string> environment(service.environment.begin(), service.environment.end());
  if (service.protocol == "imap" && service.capabilities.has_value() && !service.capabilities->empty())
    environment.emplace("IMAP_CAPABILITY", absl::StrJoin(*service.capabilities, " "));
  return environment;
}

Options LauncherOptions(const Config& config, std::vector<std::string>* errors) {
  Options options = {absl::StrCat("--login-attempts=", config.limits.login_attempts),
                     absl::StrCat("--login-penalty=", config.limits.login_penalty),
                     Seconds("backend-end-seconds", config.limits.backend_end),
                     Seconds("leftover-seconds", config.limits.leftover.value_or(absl::ZeroDuration()))};
  for (const Service& service : config.services) {
    options.push_back(absl::StrCat("--service=", service.name));
    options.push_back(LoginOption(service));
    options.push_back(UserOption(config, service, errors));
    options.push_back(ConfinementOption(service));
    for (const std::string& word : service.checkpassword) options.push_back(absl::StrCat("--checkpassword=", word));
    for (const std::string& word : service.backend) options.push_back(absl::StrCat("--backend=", word));
    if (!service.connect.empty()) {
      options.push_back(absl::StrCat("--connect=", service.connect));
      options.push_back(absl::StrCat("--proxy-protocol=", service.proxy_protocol));
    }
    for (const auto& [name, value] : BackendEnvironment(service))
      options.push_back(absl::StrCat("--environment=", name, "=", value));
  }
  return options;
}

// A program that runs as the user of a role could signal it, or be taken for it by the kernel.
void CheckUsers(const Plan& plan, const Config& config, std::vector<std::string>* errors) {
  for (const Service& service : config.services) {
    if (!service.user.has_value() || !StartedAsRoot()) continue;
    const std::optional<sandbox::Identity> user = FindUser(service.user->text);
    for (size_t i = 0; i < kRoles; ++i)
      if (user.has_value() && plan.roles[i].identity.uid == user->uid && user->uid != 0)
        errors->push_back(
            At(config, service.user->place,
               absl::StrCat("user: \"", service.user->text, "\" is who ", kRoleNames[i].name, " runs as")));
  }
}

// The order of the logger's `source` descriptors: the roles, the supervisor, the probes.
Options LoggerOptions() {
  Options options;
  for (const RoleName& role : kRoleNames) options.push_back(absl::StrCat("--source=", role.name));
  options.push_back("--source=supervisor");
  options.push_back("--source=probe");
  return options;
}

// `remedy` is what to do where there is no such user.
absl::StatusOr<sandbox::Identity> IdentityOf(const sandbox::Policy& policy, absl::string_view role,
                                             absl::string_view remedy) {
  if (!StartedAsRoot()) return sandbox::Identity{getuid(), getgid()};
  const passwd* entry = getpwnam(policy.user.c_str());
  if (entry == nullptr)
    return absl::FailedPreconditionError(
        absl::StrCat(policy.name, ": no user \"", policy.user, "\" for ", role, remedy));
  if (entry->pw_uid == 0)
    return absl::FailedPreconditionError(absl::StrCat(policy.name, ": ", role, " may not be root"));
  return sandbox::Identity{entry->pw_uid, entry->pw_gid};
}

absl::StatusOr<sandbox::Identity> IdentityOf(const config::Roles& roles, RoleId role, const sandbox::Policy& policy) {
  if (!StartedAsRoot()) return sandbox::Identity{getuid(), getgid()};
  if (roles.uid_base.has_value()) {
    const uid_t uid = *roles.uid_base + kRoleNames[role].uid_offset;
    return sandbox::Identity{uid, uid};
  }
  return IdentityOf(policy, kRoleNames[role].name,
                    absl::StrCat(" (adduser --system --group ", policy.user, ", or set uid_base in [roles])"));
}

// Where every service has `capabilities` nothing is asked, and the policy not read.
absl::Status PlanProbes(const Config& config, Plan* plan) {
  RolePlan probe;
  probe.binary = plan->layout.probe;
  probe.policy_path = plan->layout.probe_policy;
  for (size_t i = 0; i < config.services.size(); ++i)
    if (!config.services[i].capabilities.has_value()) plan->asked.push_back({i, probe});
  if (plan->asked.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(probe.policy, sandbox::LoadPolicy(probe.policy_path));
  ASSIGN_OR_RETURN(probe.identity, IdentityOf(probe.policy, "probe", ""));
  for (Asked& asked : plan->asked) {
    asked.probe = probe;
    asked.probe.options = ProbeOptions(config.services[asked.service]);
  }
  return absl::OkStatus();
}

}  // namespace

bool StartedAsRoot() { return geteuid() == 0; }

std::string At(const Config& config, const config::Place& place, absl::string_view problem) {
  return absl::StrCat(config.path, ":", place.line, ":", place.column, ": ", problem);
}

absl::StatusOr<Plan> MakePlan(Config config) {
  Plan plan;
  ASSIGN_OR_RETURN(plan.layout, FindLayout(config.roles));
  std::vector<std::string> errors;
  // Where the file says what place to look in, that is what is wrong.
  const auto report = [&](absl::string_view key, const config::Place& place, absl::string_view problem) {
    errors.push_back(place.line == 0 ? std::string(problem) : At(config, place, absl::StrCat(key, ": ", problem)));
  };
  const auto need_program = [&](const std::string& path) {
    if (access(path.c_str(), X_OK) != 0)
      report("directory", config.roles.directory_place, absl::StrCat(path, ": ", strerror(errno)));
  };
  const Options options[] = {LoggerOptions(), LauncherOptions(config, &errors), TlsOptions(config),
                             BrokerOptions(config), AcceptorOptions(config)};
  for (size_t i = 0; i < kRoles; ++i) {
    RolePlan& role = plan.roles[i];
    role.binary = plan.layout.binaries[i];
    role.policy_path = plan.layout.policies[i];
    role.options = options[i];
    need_program(role.binary);
    absl::StatusOr<sandbox::Policy> policy = sandbox::LoadPolicy(role.policy_path);
    if (!policy.ok()) {
      report("policies", config.roles.policies_place, policy.status().message());
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
  need_program(plan.layout.probe);
  if (const absl::Status probes = PlanProbes(config, &plan); !probes.ok())
    report("policies", config.roles.policies_place, probes.message());
  CheckUsers(plan, config, &errors);
  plan.config = std::move(config);
  if (!errors.empty()) return absl::FailedPreconditionError(absl::StrJoin(errors, "\n"));
  return plan;
}

}  // namespace postern::supervisor
