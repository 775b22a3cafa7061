// postern.toml: read once, by the supervisor, and handed down as typed values.
#ifndef POSTERN_CONFIG_CONFIG_H_
#define POSTERN_CONFIG_CONFIG_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "config/place.h"

namespace postern::config {

// Before TLS: may a client log in?
enum class Plaintext { kRefuse, kAllow };

// Who checks the password.
enum class Login { kCheckpassword, kBackend };

// What a backend is held to; nothing where it is not given.
struct BackendLimits {
  std::optional<int64_t> memory_mib, open_files, processes, cpu_seconds, file_mib;
  int nice = 0;  // added to postern's own
};

// Of the system's databases, or a number; resolved by the supervisor.
struct Name {
  std::string text;
  Place place;
};

// IPv4-mapped IPv6 addresses do not occur, and "[::]" means IPv6 only (IPV6_V6ONLY), whatever the system's default is.
struct Listener {
  std::string text;  // as in the file: "127.0.0.1:2110"
  sockaddr_storage address = {};
  socklen_t octets = 0;       // how much of `address` counts: what bind() wants
  bool implicit_tls = false;  // TLS from the first octet
  Place place;
};

// A chain and the key of its first certificate.
struct CertificatePair {
  std::string certificate, key;  // absolute
  Place certificate_place, key_place;
};

struct Service {
  std::string name;                 // [a-z0-9_-]{1,32}
  std::string protocol;             // "pop3" or "imap"
  std::vector<Listener> listeners;  // those of `listen`, then those of `listen_tls`; at least one
  // At least one. Which of them a client gets, tlsworker/certificates.h tells; the first is the default.
  std::vector<CertificatePair> certificates;
  Plaintext plaintext = Plaintext::kRefuse;
  Login login = Login::kCheckpassword;
  bool preauth_greeting = false;                    // IMAP: the program behind checkpassword says * PREAUTH
  std::vector<std::string> checkpassword, backend;  // program (absolute) and arguments; empty: none
  std::string connect;                              // instead of `backend`: address, or path of a socket
  int proxy_protocol = 0;                           // version of its header on `connect`; 0: none
  std::optional<Name> user;                         // of checkpassword or, with kBackend, of the backend
  std::vector<Name> groups;                         // supplementary, of the same
  BackendLimits backend_limits;
  bool no_new_privs = true;                                      // for the backend
  std::vector<std::pair<std::string, std::string>> environment;  // added to the backend's
  // Besides postern's own, before the login: lines of POP3's CAPA, words of IMAP's CAPABILITY. None: ask the backend.
  std::optional<std::vector<std::string>> capabilities;
  Place place;  // of the header
  Place checkpassword_place, backend_place, connect_place;
};

struct Limits {
  int sessions = 5000;
  int sessions_per_address = 500;
  int login_attempts = 3;                          // per session
  int login_penalty = 10;                          // failed logins of one address that are free; 0: all
  absl::Duration login = absl::Seconds(60);        // from accept to a finished login
  absl::Duration handshake = absl::Seconds(10);    // of TLS
  absl::Duration idle = absl::Minutes(35);         // after login, no octet in either direction
  absl::Duration keepalive = absl::Seconds(300);   // of a client's silence, before the kernel asks whether it is there
  absl::Duration drain = absl::Seconds(30);        // after TERM, for sessions that are under way
  absl::Duration backend_end = absl::Seconds(60);  // for a backend whose client has gone
  std::optional<absl::Duration> leftover;  // for what a backend leaves behind; Parse() sets it, by the protocols
  Place idle_place;
};

struct Roles {
  std::optional<uid_t> uid_base;    // without it, the users that the policy files name
  std::string directory, policies;  // absolute; empty = the default, which is beside the program
  Place uid_base_place, directory_place, policies_place;
};

struct Config {
  std::string path;  // as given: what messages begin with
  Limits limits;
  Roles roles;
  std::vector<Service> services;  // at least one, in the order of the file
};

// Some 150 services' worth.
inline constexpr int kFileOctetsMax = 1 << 16;

// `text` is what the file `path` holds; `path` serves messages and, made absolute, is what relative paths start from.
// Opens nothing. FailedPrecondition carries every error of the file, each a line "FILE:LINE:COLUMN: message"; a syntax
// error hides those behind it.
absl::StatusOr<Config> Parse(const std::string& path, absl::string_view text);

// Reads the file and parses it.
absl::StatusOr<Config> Load(const std::string& path);

// What can be known without starting anything or parsing PEM: certificates and keys are readable regular files, the
// keys with no bit of 077 and owned by root or the caller; programs exist and can be executed. All problems, one per
// entry, in the form that Parse gives them; empty = none.
std::vector<std::string> CheckFiles(const Config& config);

}  // namespace postern::config

#endif  // POSTERN_CONFIG_CONFIG_H_
