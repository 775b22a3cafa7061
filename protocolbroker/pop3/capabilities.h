#ifndef POSTERN_PROTOCOLBROKER_POP3_CAPABILITIES_H_
#define POSTERN_PROTOCOLBROKER_POP3_CAPABILITIES_H_

#include "protocolbroker/interview.h"

namespace postern::protocolbroker::pop3 {

// CAPA and its answer, a line each: RFC 2449 §5. A program behind checkpassword begins with the answer to PASS, which
// looks as a greeting does.
class CapaInterview final : public Interview {
 public:
  size_t line_octets_max() const override { return 512; }  // RFC 2449 §4
  absl::string_view question() const override { return "CAPA\r\n"; }
  absl::string_view goodbye() const override { return "QUIT\r\n"; }
  Next OnGreeting(absl::string_view line) override;
  Next OnLine(absl::string_view line) override;

 private:
  bool listing_ = false;
};

}  // namespace postern::protocolbroker::pop3

#endif  // POSTERN_PROTOCOLBROKER_POP3_CAPABILITIES_H_
