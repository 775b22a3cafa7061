#ifndef POSTERN_SANDBOX_SYMBOLS_H_
#define POSTERN_SANDBOX_SYMBOLS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"

namespace postern::sandbox {

// The constants a policy may name in a comparison, e.g. MSG_PEEK.
std::optional<uint64_t> SymbolValue(absl::string_view name);
std::vector<absl::string_view> SymbolNames();

// "EPERM" and its like.
std::optional<int> ErrnoValue(absl::string_view name);
std::vector<absl::string_view> ErrnoNames();

// "nofile" and its like, for [limits].
std::optional<int> LimitResource(absl::string_view name);
std::vector<absl::string_view> LimitNames();

// Of this machine, as libseccomp knows them.
const std::vector<absl::string_view>& SyscallNames();

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_SYMBOLS_H_
