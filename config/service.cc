#include "config/service.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/socket_address.h"
#include "capabilities/rules.h"

namespace postern::config {
namespace {

constexpr size_t kNameOctetsMax = 32;
constexpr size_t kCommandWordsMax = 64;
constexpr size_t kGroupsMax = 16;
constexpr size_t kCertificatesMax = 16;

constexpr absl::string_view kProtocols[] = {"pop3", "imap"};
constexpr absl::string_view kLogins[] = {"checkpassword", "backend"};
constexpr absl::string_view kGreetings[] = {"tag", "preauth"};
constexpr absl::string_view kPlaintext[] = {"refuse", "allow"};
constexpr absl::string_view kProxyProtocols[] = {"v1", "v2"};

constexpr Reader::Range kMemoryMib = {8, 1 << 20};  // a mail server that is linked to anything needs more than 8
constexpr Reader::Range kOpenFiles = {8, 1 << 20};
constexpr Reader::Range kProcesses = {1, 1 << 20};
constexpr Reader::Range kCpuSeconds = {1, 1 << 20};
constexpr Reader::Range kFileMib = {1, 1 << 20};
constexpr Reader::Range kNice = {0, 19};  // setpriority(2): less would be more than postern's own

// What the launcher and checkpassword put into the backend's environment; two sources for one name would hide one of
// them.
constexpr absl::string_view kOwnVariables[] = {"PROTO",    "USER",     "HOME",     "SHELL",       "AUTHENTICATED",
                                               "AUTHADDR", "POP3_TLS", "IMAP_TLS", "IMAPLOGINTAG"};
constexpr absl::string_view kOwnVariablePrefixes[] = {"TCP", "SSL_"};

template <typename Words>
bool Contains(const Words& words, absl::string_view word) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

bool IsServiceName(absl::string_view name) {
  return !name.empty() && name.size() <= kNameOctetsMax && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '-';
  });
}

bool IsVariableName(absl::string_view name) {
  return !name.empty() && !absl::ascii_isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

bool IsOwnVariable(absl::string_view name) {
  return Contains(kOwnVariables, name) ||
         std::any_of(std::begin(kOwnVariablePrefixes), std::end(kOwnVariablePrefixes),
                     [&](absl::string_view prefix) { return absl::StartsWith(name, prefix); });
}

void ReadListeners(Reader& reader, absl::string_view key, bool implicit_tls, Service& service, Errors& errors) {
  std::vector<Reader::Text> texts;
  reader.Strings(key, &texts);
  for (const Reader::Text& text : texts) {
    Listener listener = {.text = text.text, .implicit_tls = implicit_tls, .place = text.place};
    const absl::string_view problem = base::ReadAddress(text.text, &listener.address, &listener.octets);
    if (problem.empty())
      service.listeners.push_back(std::move(listener));
    else
      errors.Add(text.place, absl::StrCat(key, ": ", Quote(text.text), " ", problem));
  }
}

void ReadCommand(Reader& reader, absl::string_view key, std::vector<std::string>* command, Place* place,
                 Errors& errors) {
  std::vector<Reader::Text> words;
  if (!reader.Has(key) || !reader.Strings(key, &words, place)) return;
  if (words.empty()) return errors.Add(*place, absl::StrCat(key, " must name a program, then its arguments"));
  if (words.size() > kCommandWordsMax)
    return errors.Add(*place, absl::StrCat(key, " must have at most ", kCommandWordsMax, " words"));
  // No search through PATH: which program runs must not hang on the environment that postern was started in.
  if (!absl::StartsWith(words[0].text, "/"))
    return errors.Add(words[0].place,
                      absl::StrCat(key, " must begin with an absolute path, not ", Quote(words[0].text)));
  for (Reader::Text& word : words) command->push_back(std::move(word.text));
}

void ReadEnvironment(Reader& reader, Service& service, Errors& errors) {
  const Value* table = reader.Table("environment", "a table of strings such as { NAME = \"value\" }");
  if (table == nullptr) return;
  for (const auto& [name, place, value] : table->entries) {
    if (!IsVariableName(name))
      errors.Add(place, absl::StrCat("environment: ", Quote(name),
                                     " is not a name made of letters, digits and _, a digit not first"));
    else if (IsOwnVariable(name))
      errors.Add(place, absl::StrCat("environment: ", name, " is set by postern itself"));
    else if (value.kind != Kind::kString || absl::StrContains(value.text, '\0'))
      errors.Add(value.place, absl::StrCat("environment: ", name, " must be a string without NUL, not ", Show(value)));
    else
      service.environment.emplace_back(name, value.text);
  }
}

// "" if it may be in the list.
std::string CapabilityProblem(absl::string_view text, const Service& service) {
  using capabilities::Verdict;
  const bool imap = service.protocol == "imap";
  switch (imap ? capabilities::JudgeImap(text) : capabilities::JudgePop3(text, service.login == Login::kBackend)) {
    case Verdict::kGood:
      return "";
    case Verdict::kOwn:
      return absl::StrCat("whether ", capabilities::Tag(text), " is announced is decided by postern itself");
    case Verdict::kBeforeLogin:
      return absl::StrCat(capabilities::Tag(text),
                          " is a command for before the login, when no backend runs yet that could obey it");
    case Verdict::kMalformed:
      break;
  }
  if (!imap)
    return absl::StrCat(Quote(text),
                        " is not a tag of A-Z, 0-9 and -, then words of printable ASCII, each behind one space");
  return absl::StrCat(Quote(text), " is not an atom (RFC 3501, section 9) of at most ",
                      capabilities::kImapAtomOctetsMax, " octets");
}

void ReadCapabilities(Reader& reader, Service& service, Errors& errors) {
  if (!reader.Has("capabilities")) return;
  service.capabilities.emplace();
  std::vector<Reader::Text> lines;
  Place place;
  reader.Strings("capabilities", &lines, &place);
  const size_t most = service.protocol == "imap" ? capabilities::kImapAtomsMax : capabilities::kPop3LinesMax;
  if (lines.size() > most) errors.Add(place, absl::StrCat("capabilities must have at most ", most, " elements"));
  std::vector<absl::string_view> tags;
  for (const Reader::Text& line : lines) {
    const absl::string_view tag = capabilities::Tag(line.text);
    std::string problem = CapabilityProblem(line.text, service);
    if (problem.empty() && Contains(tags, tag)) problem = absl::StrCat(tag, " is given twice");
    if (problem.empty())
      service.capabilities->push_back(line.text);
    else
      errors.Add(line.place, absl::StrCat("capabilities: ", problem));
    tags.push_back(tag);
  }
  if (service.protocol == "imap" && !lines.empty() && !Contains(tags, "IMAP4rev1") && !Contains(tags, "IMAP4rev2"))
    errors.Add(place, "capabilities must name IMAP4rev1 or IMAP4rev2 (RFC 3501, section 6.1.1)");
}

// False: the key is missing or wrong.
bool ReadFiles(Reader& reader, absl::string_view key, std::vector<Reader::Text>* paths, Place* place, Errors& errors) {
  if (!reader.Has(key) || !reader.StringOrStrings(key, paths, place)) return false;
  if (!paths->empty() && paths->size() <= kCertificatesMax) return true;
  errors.Add(*place, absl::StrCat(key, " must have 1 to ", kCertificatesMax, " elements, not ", paths->size()));
  return false;
}

void ReadCertificates(Reader& reader, absl::string_view directory, Service& service, Errors& errors) {
  std::vector<Reader::Text> certificates, keys;
  Place certificates_place, keys_place;
  const bool good = ReadFiles(reader, "certificate", &certificates, &certificates_place, errors);
  if (!ReadFiles(reader, "key", &keys, &keys_place, errors) || !good) return;
  if (keys.size() != certificates.size())
    return errors.Add(keys_place, absl::StrCat("key must have as many elements as certificate, which has ",
                                               certificates.size(), ", not ", keys.size()));
  for (size_t i = 0; i < keys.size(); ++i)
    service.certificates.push_back({Resolve(directory, certificates[i].text), Resolve(directory, keys[i].text),
                                    certificates[i].place, keys[i].place});
}

void ReadConnect(Reader& reader, Service& service, Errors& errors) {
  Place& place = service.connect_place;
  if (!reader.String("connect", &service.connect, &place) || service.connect.empty()) return;
  sockaddr_storage address;
  socklen_t octets;
  const absl::string_view problem = base::ReadAddressOrPath(service.connect, &address, &octets);
  if (!problem.empty()) errors.Add(place, absl::StrCat("connect: ", Quote(service.connect), " ", problem));
}

bool IsUserName(absl::string_view name) {
  return !name.empty() && name.size() <= kNameOctetsMax && name[0] != '-' &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.'; });
}

void ReadIdentity(Reader& reader, Service& service, Errors& errors) {
  const auto check = [&](absl::string_view key, const Name& name) {
    if (!IsUserName(name.text)) errors.Add(name.place, absl::StrCat(key, ": ", Quote(name.text), " is no name"));
  };
  Name user;
  reader.String("user", &user.text, &user.place);
  if (!user.text.empty()) {
    check("user", user);
    service.user = std::move(user);
  }
  std::vector<Reader::Text> groups;
  Place place;
  reader.Strings("groups", &groups, &place);
  if (groups.size() > kGroupsMax) errors.Add(place, absl::StrCat("groups must have at most ", kGroupsMax, " elements"));
  for (Reader::Text& group : groups) {
    service.groups.push_back({std::move(group.text), group.place});
    check("groups", service.groups.back());
  }
}

void ReadLimit(Reader& reader, absl::string_view key, Reader::Range range, std::optional<int64_t>* limit) {
  int64_t value = 0;
  if (reader.Has(key) && reader.Integer(key, range, &value)) *limit = value;
}

void ReadBackendLimits(Reader& reader, absl::string_view section, absl::Span<const Home> homes, Service& service,
                       Errors& errors) {
  const Value* table = reader.Table("backend_limits", "a table of numbers such as { memory_mib = 256 }");
  if (table == nullptr) return;
  Reader limits(*table, absl::StrCat(section, ".backend_limits"), errors);
  ReadLimit(limits, "memory_mib", kMemoryMib, &service.backend_limits.memory_mib);
  ReadLimit(limits, "open_files", kOpenFiles, &service.backend_limits.open_files);
  ReadLimit(limits, "processes", kProcesses, &service.backend_limits.processes);
  ReadLimit(limits, "cpu_seconds", kCpuSeconds, &service.backend_limits.cpu_seconds);
  ReadLimit(limits, "file_mib", kFileMib, &service.backend_limits.file_mib);
  limits.Integer("nice", kNice, &service.backend_limits.nice);
  limits.Finish(homes);
}

// A key that is there but wrong has been reported already. Beside `connect`, checkpassword is not what is missing.
void ReportMissing(Reader& reader, absl::string_view section, bool login_good, const Service& service, Errors& errors) {
  std::vector<absl::string_view> keys = {"protocol", "certificate", "key"};
  if (login_good && service.login == Login::kCheckpassword && !reader.Has("connect")) keys.push_back("checkpassword");
  if (!reader.Has("connect")) keys.push_back("backend");
  for (absl::string_view key : keys)
    if (!reader.Has(key)) errors.Add(service.place, absl::StrCat("[", section, "] has no ", key));
}

// Keys that would do nothing beside others, and so are slips. Where login is wrong nobody knows what it was to be.
void ReportIdle(const Value& table, bool login_good, const Service& service, Errors& errors) {
  const bool by_checkpassword = login_good && service.login == Login::kCheckpassword;
  const bool connects = !service.connect.empty();
  const auto report = [&](const Entry& entry, bool wrong, absl::string_view why) {
    if (wrong) errors.Add(entry.key_place, absl::StrCat(entry.key, " ", why));
  };
  for (const Entry& entry : table.entries) {
    if (entry.key == "checkpassword")
      report(entry, service.login == Login::kBackend, "has no use with login = \"backend\", which asks the backend");
    if (entry.key == "connect") report(entry, by_checkpassword, "needs login = \"backend\"");
    if (entry.key == "greeting") report(entry, service.protocol == "pop3", "is a matter of protocol = \"imap\"");
    if (entry.key == "greeting")
      report(entry, login_good && service.login == Login::kBackend, "has no use with login = \"backend\"");
    if (entry.key == "proxy_protocol") report(entry, !connects, "has no use without connect");
    for (absl::string_view key : {"backend", "user", "groups", "environment", "backend_limits", "no_new_privs"})
      if (entry.key == key) report(entry, connects, "has no use with connect, where nothing is started");
  }
}

void ReportNoListener(const Value& table, absl::string_view section, Errors& errors) {
  for (const Entry& entry : table.entries) {
    const bool empty = entry.value.kind == Kind::kArray && entry.value.elements.empty();
    if ((entry.key == "listen" || entry.key == "listen_tls") && !empty) return;
  }
  errors.Add(table.place, absl::StrCat("[", section, "] has no listen and no listen_tls"));
}

}  // namespace

std::string Resolve(absl::string_view directory, absl::string_view path) {
  if (absl::StartsWith(path, "/")) return std::string(path);
  return absl::StrCat(directory, absl::EndsWith(directory, "/") ? "" : "/", path);
}

Service ReadService(const Entry& entry, absl::string_view directory, absl::Span<const Home> homes, Errors& errors) {
  Service service;
  service.name = entry.key;
  service.place = entry.value.place;
  const bool good_name = IsServiceName(service.name);
  if (!good_name) {
    errors.Add(entry.key_place, absl::StrCat("a service's name must be 1 to ", kNameOctetsMax,
                                             " of a-z, 0-9, _ and -, not ", Quote(service.name)));
  }
  const std::string section = absl::StrCat("service.", good_name ? service.name : Quote(service.name));
  Reader reader(entry.value, section, errors);
  std::string login, plaintext;
  reader.Choice("protocol", kProtocols, &service.protocol);
  ReadListeners(reader, "listen", false, service, errors);
  ReadListeners(reader, "listen_tls", true, service, errors);
  ReadCertificates(reader, directory, service, errors);
  reader.Choice("plaintext", kPlaintext, &plaintext);
  service.plaintext = plaintext == "allow" ? Plaintext::kAllow : Plaintext::kRefuse;
  const bool login_good = reader.Choice("login", kLogins, &login);
  service.login = login == "backend" ? Login::kBackend : Login::kCheckpassword;
  std::string greeting;
  reader.Choice("greeting", kGreetings, &greeting);
  service.preauth_greeting = greeting == "preauth";
  ReadCommand(reader, "checkpassword", &service.checkpassword, &service.checkpassword_place, errors);
  ReadCommand(reader, "backend", &service.backend, &service.backend_place, errors);
  ReadConnect(reader, service, errors);
  std::string proxy_protocol;
  reader.Choice("proxy_protocol", kProxyProtocols, &proxy_protocol);
  if (!proxy_protocol.empty()) service.proxy_protocol = proxy_protocol == "v1" ? 1 : 2;
  ReadIdentity(reader, service, errors);
  ReadBackendLimits(reader, section, homes, service, errors);
  reader.Boolean("no_new_privs", &service.no_new_privs);
  ReadEnvironment(reader, service, errors);
  ReadCapabilities(reader, service, errors);
  ReportMissing(reader, section, login_good, service, errors);
  ReportIdle(entry.value, login_good, service, errors);
  ReportNoListener(entry.value, section, errors);
  reader.Finish(homes);
  return service;
}

}  // namespace postern::config
