// Any text either is a policy, which can be described, or gives errors with their place.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "sandbox/policy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t octets) {
  const absl::string_view text(reinterpret_cast<const char*>(data), octets);
  const auto policy = postern::sandbox::ParsePolicy("fuzz", text);
  if (policy.ok()) {
    if (postern::sandbox::Describe(*policy).empty()) abort();
  } else if (policy.status().message().substr(0, 5) != "fuzz:") {
    abort();
  }
  return 0;
}
