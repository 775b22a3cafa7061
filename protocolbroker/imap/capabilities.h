#ifndef POSTERN_PROTOCOLBROKER_IMAP_CAPABILITIES_H_
#define POSTERN_PROTOCOLBROKER_IMAP_CAPABILITIES_H_

#include "protocolbroker/interview.h"

namespace postern::protocolbroker::imap {

// CAPABILITY and its answer: RFC 3501 §6.1.1, §7.2.1. A program behind checkpassword greets with PREAUTH; what it says
// before that, an alert for example, is no harm.
class CapabilityInterview final : public Interview {
 public:
  size_t line_octets_max() const override { return 8192; }
  absl::string_view question() const override { return "p CAPABILITY\r\n"; }
  absl::string_view goodbye() const override { return "p LOGOUT\r\n"; }
  Next OnGreeting(absl::string_view line) override;
  Next OnLine(absl::string_view line) override;

 private:
  // Those of a response code, "[CAPABILITY ...]", behind `status`.
  void TakeCode(absl::string_view line);
  void Take(absl::string_view list);
};

}  // namespace postern::protocolbroker::imap

#endif  // POSTERN_PROTOCOLBROKER_IMAP_CAPABILITIES_H_
