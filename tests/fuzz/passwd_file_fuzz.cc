// The passwd-file parser: the first line of the input is the login, the rest is the file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "checkpassword/passwd_file.h"

namespace {

namespace cp = postern::checkpassword;

void Check(bool condition) {
  if (!condition) std::abort();
}

void CheckUser(const cp::Lookup& lookup, absl::string_view login, absl::string_view text) {
  Check(!login.empty() && text.find(login) != text.npos);
  Check(login.find(':') == login.npos && login.find('\0') == login.npos);
  Check(lookup.uid >= 100 && lookup.uid != UINT32_MAX && lookup.gid != UINT32_MAX);
  Check(!lookup.home.empty() && lookup.home[0] == '/' && lookup.home.find('\0') == lookup.home.npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  const absl::string_view login = input.substr(0, input.find('\n'));
  const absl::string_view text = input.substr(std::min(size, login.size() + 1));
  const cp::Lookup lookup = cp::FindLogin(text, login, 100);

  Check(!lookup.hashes.empty() && lookup.hashes.size() <= cp::kHashKindsMax);
  for (const std::string& hash : lookup.hashes) Check(!cp::HashKind(hash).empty());
  Check(lookup.faults.size() <= cp::kFaultsMax);
  Check((lookup.found == cp::Found::kUnknown) == (lookup.line == 0));
  Check((lookup.found == cp::Found::kFaulty) == !lookup.own_fault.text.empty());
  if (lookup.found == cp::Found::kUser || lookup.found == cp::Found::kLocked) CheckUser(lookup, login, text);
  if (lookup.found == cp::Found::kUser) Check(lookup.own_hash < lookup.hashes.size());
  // A login that is not in the file costs the same.
  Check(cp::FindLogin(text, "", 100).hashes.size() == lookup.hashes.size());
  return 0;
}
