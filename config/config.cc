#include "config/config.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/socket_address.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "config/document.h"
#include "config/errors.h"
#include "config/reader.h"
#include "config/service.h"

namespace postern::config {
namespace {

constexpr Reader::Range kSessions = {1, 100000};
constexpr Reader::Range kLoginAttempts = {1, 100};
constexpr Reader::Range kLoginSeconds = {1, 3600};
constexpr Reader::Range kHandshakeSeconds = {1, 600};
constexpr Reader::Range kIdleMinutes = {10, 10080};         // RFC 1939 §3: not under 10 minutes; a week
constexpr absl::Duration kImapIdleMin = absl::Minutes(30);  // RFC 3501 §5.4
constexpr Reader::Range kKeepaliveSeconds = {10, 7200};     // up to the kernel's own default
constexpr Reader::Range kDrainSeconds = {0, 3600};
constexpr Reader::Range kLoginPenalty = {0, 1000};
constexpr Reader::Range kBackendEndSeconds = {1, 3600};
constexpr Reader::Range kLeftoverSeconds = {0, 3600};
constexpr absl::Duration kImapLeftover = absl::Seconds(60);
constexpr int kRoles = 5;                            // each has a uid of its own, from uid_base upward
constexpr Reader::Range kUidBase = {1, 4294967290};  // the fifth may not be 2^32-1, which means "leave it"
constexpr int64_t kSharedUids[] = {65534, 65535};    // nobody, and the 16-bit "leave it"

// For hints only: what is known is what the readers ask for (config_test.cc holds the two together).
constexpr Home kHomes[] = {
    {"sessions", "limits"},
    {"sessions_per_address", "limits"},
    {"login_attempts", "limits"},
    {"login_seconds", "limits"},
    {"login_penalty", "limits"},
    {"handshake_seconds", "limits"},
    {"idle_minutes", "limits"},
    {"keepalive_seconds", "limits"},
    {"drain_seconds", "limits"},
    {"backend_end_seconds", "limits"},
    {"leftover_seconds", "limits"},
    {"uid_base", "roles"},
    {"directory", "roles"},
    {"policies", "roles"},
    {"protocol", "service.NAME"},
    {"listen", "service.NAME"},
    {"listen_tls", "service.NAME"},
    {"certificate", "service.NAME"},
    {"key", "service.NAME"},
    {"plaintext", "service.NAME"},
    {"login", "service.NAME"},
    {"greeting", "service.NAME"},
    {"checkpassword", "service.NAME"},
    {"backend", "service.NAME"},
    {"connect", "service.NAME"},
    {"proxy_protocol", "service.NAME"},
    {"user", "service.NAME"},
    {"groups", "service.NAME"},
    {"backend_limits", "service.NAME"},
    {"no_new_privs", "service.NAME"},
    {"environment", "service.NAME"},
    {"capabilities", "service.NAME"},
    {"memory_mib", "service.NAME.backend_limits"},
    {"open_files", "service.NAME.backend_limits"},
    {"processes", "service.NAME.backend_limits"},
    {"cpu_seconds", "service.NAME.backend_limits"},
    {"file_mib", "service.NAME.backend_limits"},
    {"nice", "service.NAME.backend_limits"},
};

void ReadLimits(const Value& table, Limits& limits, Errors& errors) {
  Reader reader(table, "limits", errors);
  Place per_address_place;
  const bool sessions_good = reader.Integer("sessions", kSessions, &limits.sessions);
  reader.Integer("sessions_per_address", kSessions, &limits.sessions_per_address, &per_address_place);
  reader.Integer("login_attempts", kLoginAttempts, &limits.login_attempts);
  reader.Duration("login_seconds", kLoginSeconds, absl::Seconds(1), &limits.login);
  reader.Duration("handshake_seconds", kHandshakeSeconds, absl::Seconds(1), &limits.handshake);
  reader.Duration("idle_minutes", kIdleMinutes, absl::Minutes(1), &limits.idle, &limits.idle_place);
  reader.Duration("keepalive_seconds", kKeepaliveSeconds, absl::Seconds(1), &limits.keepalive);
  reader.Duration("drain_seconds", kDrainSeconds, absl::Seconds(1), &limits.drain);
  reader.Integer("login_penalty", kLoginPenalty, &limits.login_penalty);
  reader.Duration("backend_end_seconds", kBackendEndSeconds, absl::Seconds(1), &limits.backend_end);
  absl::Duration leftover;
  if (reader.Has("leftover_seconds") &&
      reader.Duration("leftover_seconds", kLeftoverSeconds, absl::Seconds(1), &leftover))
    limits.leftover = leftover;
  reader.Finish(kHomes);
  if (limits.sessions_per_address <= limits.sessions || !sessions_good) return;
  if (per_address_place.line == 0)
    limits.sessions_per_address = limits.sessions;  // the default follows
  else
    errors.Add(per_address_place, absl::StrCat("sessions_per_address must not be more than sessions, which is ",
                                               limits.sessions, ", not ", limits.sessions_per_address));
}

void ReadUidBase(Reader& reader, Roles& roles, Errors& errors) {
  int64_t base = 0;
  if (!reader.Integer("uid_base", kUidBase, &base, &roles.uid_base_place) || base == 0) return;
  for (int64_t shared : kSharedUids)
    if (base <= shared && shared < base + kRoles)
      return errors.Add(roles.uid_base_place, absl::StrCat("uid_base: the roles would be the uids ", base, " to ",
                                                           base + kRoles - 1, ", and ", shared, " is nobody's own"));
  roles.uid_base = static_cast<uid_t>(base);
}

void ReadRoles(const Value& table, absl::string_view directory, Roles& roles, Errors& errors) {
  Reader reader(table, "roles", errors);
  ReadUidBase(reader, roles, errors);
  reader.String("directory", &roles.directory, &roles.directory_place);
  reader.String("policies", &roles.policies, &roles.policies_place);
  for (std::string* path : {&roles.directory, &roles.policies})
    if (!path->empty()) *path = Resolve(directory, *path);
  reader.Finish(kHomes);
}

void ReportShortIdle(const Config& config, Errors& errors) {
  const Limits& limits = config.limits;
  for (const Service& service : config.services)
    if (service.protocol == "imap" && limits.idle < kImapIdleMin)
      return errors.Add(
          limits.idle_place,
          absl::StrCat("idle_minutes must be at least ", kImapIdleMin / absl::Minutes(1),
                       " where IMAP is served (RFC 3501, section 5.4), not ", limits.idle / absl::Minutes(1)));
}

// Two sockets on one address: the second bind would fail, or one service hide the other.
void ReportDuplicates(const Config& config, Errors& errors) {
  std::vector<const Listener*> seen;
  for (const Service& service : config.services) {
    for (const Listener& listener : service.listeners) {
      for (const Listener* first : seen) {
        if (first->octets != listener.octets || memcmp(&first->address, &listener.address, listener.octets) != 0)
          continue;
        errors.Add(listener.place, absl::StrCat("address ", Quote(listener.text), " is already used at ",
                                                PlaceText(config.path, first->place)));
        break;
      }
      seen.push_back(&listener);
    }
  }
}

bool IsLoopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET6)
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
  return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

// Whether what is sent to `address` reaches a listener on `listening`. Both are of TCP.
bool Reaches(const sockaddr_storage& address, const sockaddr_storage& listening) {
  if (address.ss_family != listening.ss_family) return false;
  if (memcmp(&address, &listening, sizeof address) == 0) return true;
  if (!IsLoopback(address)) return false;
  if (address.ss_family == AF_INET6) {
    const auto& to = reinterpret_cast<const sockaddr_in6&>(address);
    const auto& at = reinterpret_cast<const sockaddr_in6&>(listening);
    return to.sin6_port == at.sin6_port && IN6_IS_ADDR_UNSPECIFIED(&at.sin6_addr);
  }
  const auto& to = reinterpret_cast<const sockaddr_in&>(address);
  const auto& at = reinterpret_cast<const sockaddr_in&>(listening);
  return to.sin_port == at.sin_port && at.sin_addr.s_addr == INADDR_ANY;
}

// A backend that is postern itself: every session would make the next one.
void ReportLoops(const Config& config, Errors& errors) {
  for (const Service& from : config.services) {
    sockaddr_storage address;
    socklen_t octets;
    if (!base::ReadAddressOrPath(from.connect, &address, &octets).empty() || address.ss_family == AF_UNIX) continue;
    for (const Service& to : config.services)
      for (const Listener& listener : to.listeners)
        if (Reaches(address, listener.address))
          errors.Add(from.connect_place, absl::StrCat("connect: ", Quote(from.connect), " is where postern listens, ",
                                                      PlaceText(config.path, listener.place)));
  }
}

// courier's imapd starts a gam_server that its user's other sessions come to share, and hang without. With POP3
// whatever a backend leaves is an accident.
void SetLeftover(Config& config) {
  if (config.limits.leftover.has_value()) return;
  const bool imap = std::any_of(config.services.begin(), config.services.end(),
                                [](const Service& service) { return service.protocol == "imap"; });
  config.limits.leftover = imap ? kImapLeftover : absl::ZeroDuration();
}

void ReadServices(const Value& table, absl::string_view directory, Config& config, Errors& errors) {
  for (const Entry& entry : table.entries) {
    if (entry.value.kind == Kind::kTable)
      config.services.push_back(ReadService(entry, directory, kHomes, errors));
    else
      errors.Add(entry.key_place,
                 absl::StrCat("[service] holds sections such as [service.pop3], not a key such as ", Quote(entry.key)));
  }
}

void ReadSections(const Value& root, absl::string_view directory, Config& config, Errors& errors) {
  Reader reader(root, "", errors);
  if (const Value* log = reader.Table("log", "a section [log]")) Reader(*log, "log", errors).Finish(kHomes);
  if (const Value* limits = reader.Table("limits", "a section [limits]")) ReadLimits(*limits, config.limits, errors);
  if (const Value* roles = reader.Table("roles", "a section [roles]"))
    ReadRoles(*roles, directory, config.roles, errors);
  const Value* services = reader.Table("service", "sections such as [service.pop3]");
  if (services != nullptr) ReadServices(*services, directory, config, errors);
  if (!reader.Has("service") || (services != nullptr && services->entries.empty()))
    errors.Add({}, "there is no service, that is, no section such as [service.pop3]");
  reader.Finish(kHomes);
  SetLeftover(config);
  ReportShortIdle(config, errors);
  ReportDuplicates(config, errors);
  ReportLoops(config, errors);
}

absl::Status Failure(const std::string& path, absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(Printable(path), ": ", what));
}

// Where relative paths of the file start. Links are not followed: /etc/postern/postern.toml may be one, and its
// neighbours are meant.
absl::StatusOr<std::string> DirectoryOf(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return Failure(path, absl::StrCat("no absolute path: ", error.message()));
  return absolute.parent_path().string();
}

}  // namespace

absl::StatusOr<Config> Parse(const std::string& path, absl::string_view text) {
  if (text.size() > kFileOctetsMax) return Failure(path, absl::StrCat("more than ", kFileOctetsMax, " octets"));
  ASSIGN_OR_RETURN(const std::string directory, DirectoryOf(path));
  const std::variant<Value, SyntaxError> document = ReadDocument(text);
  Config config;
  config.path = path;
  Errors errors;
  if (const auto* error = std::get_if<SyntaxError>(&document))
    errors.Add(error->place, error->message);
  else
    ReadSections(std::get<Value>(document), directory, config, errors);
  if (!errors.empty()) return absl::FailedPreconditionError(absl::StrJoin(errors.Lines(path), "\n"));
  return config;
}

absl::StatusOr<Config> Load(const std::string& path) {
  const base::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file.valid()) return Failure(path, absl::StrCat("cannot be opened: ", strerror(errno)));
  std::string text;
  char buffer[4096];
  while (text.size() <= kFileOctetsMax) {
    const ssize_t octets = read(file.get(), buffer, sizeof buffer);
    if (octets < 0 && errno == EINTR) continue;
    if (octets < 0) return Failure(path, absl::StrCat("cannot be read: ", strerror(errno)));
    if (octets == 0) break;
    text.append(buffer, static_cast<size_t>(octets));
  }
  return Parse(path, text);
}

}  // namespace postern::config
