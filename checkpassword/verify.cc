#include "checkpassword/verify.h"

#include <cstddef>

namespace postern::checkpassword {
namespace {

// In a time that depends on the lengths only, and those are the method's.
bool SameOctets(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = difference | static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

Verdict Verify(const Lookup& lookup, const char* password, const CryptFunction& crypt) {
  size_t computed = 0;
  bool own_failed = false;
  bool matched = false;
  for (size_t i = 0; i < lookup.hashes.size(); ++i) {
    const std::string result = crypt(password, lookup.hashes[i]);
    const bool same = SameOctets(result, lookup.hashes[i]);
    const bool own = lookup.found == Found::kUser && i == lookup.own_hash;
    if (!result.empty()) ++computed;
    if (own && result.empty()) own_failed = true;
    if (own && same) matched = true;
  }
  // With nothing computed (memory is short, say) "rejected" would be a guess, and for users and others alike.
  if (own_failed || computed == 0) return Verdict::kFailed;
  return matched ? Verdict::kAccepted : Verdict::kRejected;
}

}  // namespace postern::checkpassword
