#ifndef POSTERN_PROTOCOLBROKER_CONTROL_H_
#define POSTERN_PROTOCOLBROKER_CONTROL_H_

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace postern::protocolbroker {

// Whether a line, or a word of one, holds a control character. None has any business there, and NUL would shift the
// fields that checkpassword reads.
inline bool HasControl(absl::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); });
}

}  // namespace postern::protocolbroker

#endif  // POSTERN_PROTOCOLBROKER_CONTROL_H_
