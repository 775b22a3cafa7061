#ifndef POSTERN_CHECKPASSWORD_PASSWD_FILE_H_
#define POSTERN_CHECKPASSWORD_PASSWD_FILE_H_

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

// The passwd-file of virtual users, in the form that Dovecot reads too: one user a line,
//   login:{SCHEME}hash:uid:gid:gecos:home[:more]
// Text to answer, no more: nothing here opens a file, computes a hash or becomes anybody.
namespace postern::checkpassword {

// Faults of other people's lines that a Lookup lists; the rest are counted. Every login attempt reports them.
inline constexpr size_t kFaultsMax = 8;

// Kinds of hash (see Lookup::hashes) that are computed for every attempt. A file whose hashes have random costs, as
// shadow's SHA_CRYPT_MIN_ROUNDS makes them, must not turn one attempt into a thousand.
inline constexpr size_t kHashKindsMax = 4;

enum class Found {
  kUser,     // one good line; the password decides
  kLocked,   // one good line whose hash begins with ! or *: no password is right
  kUnknown,  // no line
  kFaulty,   // the user's line cannot be used (see own_fault), or there are several
};

struct Fault {
  size_t line = 0;         // from 1
  absl::string_view text;  // a literal of ours: nothing from the file is ever shown
};

struct Lookup {
  Found found = Found::kUnknown;
  size_t line = 0;  // the user's, 0 if unknown
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;  // absolute
  Fault own_fault;   // kFaulty only

  // What is to be computed whoever asks, so that an attempt costs the same for a user, a locked one and a login that
  // does not exist: one hash of each kind (method and cost) in the file, at most kHashKindsMax, never none.
  std::vector<std::string> hashes;
  size_t own_hash = 0;  // which of `hashes` is the user's; kUser only

  std::vector<Fault> faults;  // of other lines, which are passed over
  size_t more_faults = 0;
};

// Finds `login` octet for octet. A login that is empty or has a colon or a control character in it is unknown.
// A line with a uid of 0 or under `uid_min` is faulty.
Lookup FindLogin(absl::string_view text, absl::string_view login, uid_t uid_min);

// Method and cost of a hash, the part before its salt: "$y$j9T$", "$2b$12$", "$6$", "$6$rounds=9000$". Empty if it is
// not a whole hash of a method that is accepted: yescrypt, gost-yescrypt, bcrypt, SHA-512, SHA-256.
absl::string_view HashKind(absl::string_view hash);

}  // namespace postern::checkpassword

#endif  // POSTERN_CHECKPASSWORD_PASSWD_FILE_H_
