#ifndef POSTERN_PROTOCOLBROKER_POP3_MACHINE_H_
#define POSTERN_PROTOCOLBROKER_POP3_MACHINE_H_

// POP3 in the AUTHORIZATION state, until the backend takes over: RFC 1939 §4, RFC 2449 (CAPA), RFC 2595 §4 (STLS),
// RFC 5034 (AUTH).

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "protocolbroker/machine.h"

namespace postern::protocolbroker::pop3 {

inline constexpr size_t kCommandOctetsMax = 255;  // with its CRLF, RFC 2449 §4

class Machine final : public protocolbroker::Machine {
 public:
  using protocolbroker::Machine::Machine;

  // The banner carries no timestamp, so there is no APOP (RFC 1939 §7).
  Step OnConnect() override;
  Input input() const override;
  Step OnLine(absl::string_view line, Ending ending, bool more_buffered) override;
  Step OnLoginFailed(LoginAnswer answer) override;
  std::string Refusal(absl::string_view backend_line) const override;

  // The lines of CAPA's answer for as long as a backend that does the login itself has the client.
  std::string BackendCapabilities() const;

 private:
  Step OnCapa();
  Step OnStls(bool has_argument, bool more_buffered);
  Step OnUser(absl::string_view name);
  Step OnPass(absl::string_view password, absl::string_view line);
  Step OnAuth(absl::string_view argument, absl::string_view line);
  Step OnSasl(sasl::Result result);
  Step TryLogin(absl::string_view user, absl::string_view password);
  std::string Coded(absl::string_view code, absl::string_view text) const;
};

}  // namespace postern::protocolbroker::pop3

#endif  // POSTERN_PROTOCOLBROKER_POP3_MACHINE_H_
