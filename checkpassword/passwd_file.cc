#include "checkpassword/passwd_file.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace postern::checkpassword {
namespace {

// Nobody's: stands in where the file has no hash to take the cost from. It has crypt_gensalt()'s default cost, and what
// follows its salt is not the hash of anything known.
constexpr absl::string_view kNobodysHash = "$y$j9T$HhTMbZp0GXvqZ4wRkKvPf/$........................................../";

struct Scheme {
  absl::string_view name;    // compared without regard to case, as Dovecot does
  absl::string_view prefix;  // that the hash must have
};
constexpr Scheme kSchemes[] = {
    {"CRYPT", "$"},
    {"BLF-CRYPT", "$2"},
    {"SHA256-CRYPT", "$5$"},
    {"SHA512-CRYPT", "$6$"},
};

struct Line {
  absl::string_view login;  // all before the first colon, even of a faulty line
  absl::string_view hash;
  bool locked = false;
  uid_t uid = 0;
  gid_t gid = 0;
  absl::string_view home;
  absl::string_view fault;  // empty if there is none
};

bool IsControl(char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); }

bool HasControl(absl::string_view text) { return std::any_of(text.begin(), text.end(), IsControl); }

// Takes what is before the next `end` off the front of `rest`, and `end` too; all of it if there is no `end`.
absl::string_view TakeUntil(absl::string_view* rest, char end) {
  const absl::string_view head = rest->substr(0, rest->find(end));
  rest->remove_prefix(std::min(rest->size(), head.size() + 1));
  return head;
}

// The alphabet of crypt(3)'s base 64.
bool IsDigest(absl::string_view text, size_t octets) {
  return text.size() == octets && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '/';
         });
}

// Digits only (no sign, no space), and not the highest value, which is (uid_t)-1, "leave it as it is" to setresuid().
bool ParseId(absl::string_view text, uint32_t* id) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit) && absl::SimpleAtoi(text, id) &&
         *id != UINT32_MAX;
}

absl::string_view Bcrypt(absl::string_view hash) {
  constexpr size_t kKindOctets = 7;  // $2b$12$
  const absl::string_view kind = hash.substr(0, kKindOctets);
  if (kind.size() != kKindOctets || kind[3] != '$' || kind[6] != '$') return "";
  if (!absl::ascii_isdigit(kind[4]) || !absl::ascii_isdigit(kind[5])) return "";
  return IsDigest(hash.substr(kKindOctets), 53) ? kind : "";
}

// Prefix, then a field of parameters (`optional`: only if it begins with "rounds="), the salt, the digest.
absl::string_view Salted(absl::string_view hash, absl::string_view prefix, bool optional, size_t digest_octets) {
  absl::string_view rest = absl::StripPrefix(hash, prefix);
  if (!optional || absl::StartsWith(rest, "rounds=")) {
    if (TakeUntil(&rest, '$').empty()) return "";
  }
  const absl::string_view kind = hash.substr(0, hash.size() - rest.size());
  if (TakeUntil(&rest, '$').empty()) return "";
  return IsDigest(rest, digest_octets) ? kind : "";
}

// Takes scheme and hash apart. The text of what is wrong, or nothing.
absl::string_view ParsePassword(absl::string_view field, Line* line) {
  absl::string_view prefix = "$";
  if (absl::ConsumePrefix(&field, "{")) {
    const absl::string_view name = TakeUntil(&field, '}');
    const auto* scheme = std::find_if(std::begin(kSchemes), std::end(kSchemes),
                                      [name](const Scheme& s) { return absl::EqualsIgnoreCase(s.name, name); });
    if (scheme == std::end(kSchemes)) return "the password's scheme is not accepted";
    prefix = scheme->prefix;
  }
  line->locked = absl::StartsWith(field, "!") || absl::StartsWith(field, "*");
  if (line->locked) return "";
  if (!absl::StartsWith(field, prefix)) return "the hash is not of its scheme (DES and plain text are not accepted)";
  if (HashKind(field).empty()) return "the hash is of a method that is not accepted, or not whole";
  line->hash = field;
  return "";
}

absl::string_view ParseFields(absl::string_view rest, uid_t uid_min, Line* line) {
  if (HasControl(rest) || HasControl(line->login)) return "a control character";
  if (line->login.empty()) return "no login";
  if (std::count(rest.begin(), rest.end(), ':') < 4) return "less than six fields";
  const absl::string_view password = TakeUntil(&rest, ':');
  if (!ParseId(TakeUntil(&rest, ':'), &line->uid)) return "the uid is not a number in range";
  if (!ParseId(TakeUntil(&rest, ':'), &line->gid)) return "the gid is not a number in range";
  if (line->uid == 0) return "the uid is 0";
  if (line->uid < uid_min) return "the uid is below the minimum (--min-uid)";
  TakeUntil(&rest, ':');  // gecos
  line->home = TakeUntil(&rest, ':');
  if (!absl::StartsWith(line->home, "/")) return "the home directory is not an absolute path";
  return ParsePassword(password, line);
}

Line ParseLine(absl::string_view text, uid_t uid_min) {
  Line line;
  line.login = TakeUntil(&text, ':');
  line.fault = ParseFields(text, uid_min, &line);
  return line;
}

void AddHash(absl::string_view hash, std::vector<std::string>* hashes) {
  if (hashes->size() == kHashKindsMax) return;
  const absl::string_view kind = HashKind(hash);
  for (const std::string& known : *hashes) {
    if (HashKind(known) == kind) return;
  }
  hashes->emplace_back(hash);
}

void AddFault(Fault fault, Lookup* lookup) {
  if (lookup->faults.size() < kFaultsMax) {
    lookup->faults.push_back(fault);
  } else {
    ++lookup->more_faults;
  }
}

// A line of the login that is looked for.
void TakeOwn(const Line& line, size_t number, Lookup* lookup) {
  // The first line could win, as it does elsewhere. But then a line added to lock a user, or to move one, does nothing.
  const bool second = lookup->line != 0;
  lookup->line = number;
  if (second || !line.fault.empty()) {
    lookup->found = Found::kFaulty;
    lookup->own_fault = {number, second ? "the login has another line above" : line.fault};
    return;
  }
  lookup->found = line.locked ? Found::kLocked : Found::kUser;
  lookup->uid = line.uid;
  lookup->gid = line.gid;
  lookup->home = std::string(line.home);
}

// Puts the user's hash where one of its kind is. It is not there only if kHashKindsMax others came before: the last one
// then makes way, so that the number of hashes is the same for all.
void PlaceOwnHash(absl::string_view hash, Lookup* lookup) {
  std::vector<std::string>& hashes = lookup->hashes;
  size_t place = 0;
  while (place + 1 < hashes.size() && HashKind(hashes[place]) != HashKind(hash)) ++place;
  hashes[place] = std::string(hash);
  lookup->own_hash = place;
}

}  // namespace

absl::string_view HashKind(absl::string_view hash) {
  for (absl::string_view prefix : {"$2a$", "$2b$", "$2y$"}) {
    if (absl::StartsWith(hash, prefix)) return Bcrypt(hash);
  }
  if (absl::StartsWith(hash, "$y$")) return Salted(hash, "$y$", false, 43);
  if (absl::StartsWith(hash, "$gy$")) return Salted(hash, "$gy$", false, 43);
  if (absl::StartsWith(hash, "$5$")) return Salted(hash, "$5$", true, 43);
  if (absl::StartsWith(hash, "$6$")) return Salted(hash, "$6$", true, 86);
  return "";
}

Lookup FindLogin(absl::string_view text, absl::string_view login, uid_t uid_min) {
  const bool possible = !login.empty() && !absl::StrContains(login, ':') && !HasControl(login);
  Lookup lookup;
  absl::string_view own_hash;
  // All of the file is read for every login, and not only to find second lines.
  for (size_t number = 1; !text.empty(); ++number) {
    const absl::string_view octets = TakeUntil(&text, '\n');
    if (absl::StartsWith(octets, "#") || absl::StripAsciiWhitespace(octets).empty()) continue;
    const Line line = ParseLine(octets, uid_min);
    if (!line.hash.empty()) AddHash(line.hash, &lookup.hashes);
    if (possible && line.login == login) {
      TakeOwn(line, number, &lookup);
      own_hash = line.hash;
    } else if (!line.fault.empty()) {
      AddFault({number, line.fault}, &lookup);
    }
  }
  if (lookup.hashes.empty()) lookup.hashes.emplace_back(kNobodysHash);
  if (lookup.found == Found::kUser) PlaceOwnHash(own_hash, &lookup);
  return lookup;
}

}  // namespace postern::checkpassword
