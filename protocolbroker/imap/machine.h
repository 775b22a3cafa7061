#ifndef POSTERN_PROTOCOLBROKER_IMAP_MACHINE_H_
#define POSTERN_PROTOCOLBROKER_IMAP_MACHINE_H_

// IMAP in the not authenticated state, until the backend takes over: RFC 3501 and RFC 9051 §6.1 and §6.2, RFC 2595 §3
// (STARTTLS, LOGINDISABLED), RFC 7888 (literals), RFC 4959 (SASL-IR), RFC 2971 (ID), RFC 5530 (response codes).

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "protocolbroker/imap/command.h"
#include "protocolbroker/machine.h"

namespace postern::protocolbroker::imap {

// Of a whole command, its literals included. RFC 2683 §3.2.1.5 wants 8000 for a line.
inline constexpr size_t kCommandOctetsMax = 8192;
// The tag of a login travels to the backend's environment (ipc/messages.h).
inline constexpr size_t kTagOctetsMax = 62;
// A literal of LOGIN: one more than can be tried, so that it is refused by name and not by length.
inline constexpr size_t kLiteralOctetsMax = sasl::kCredentialsOctetsMax + 1;
// Of literals that a client sends unasked behind a command that is refused (RFC 7888 §4 leaves us that or to hang up).
inline constexpr size_t kDroppedOctetsMax = 65536;
// How often BAD is answered in one session.
inline constexpr int kBadCommandsMax = 100;

class Machine final : public protocolbroker::Machine {
 public:
  explicit Machine(Settings settings) : protocolbroker::Machine(std::move(settings)), command_(kCommandOctetsMax) {}

  Step OnConnect() override;
  Input input() const override;
  Step OnLine(absl::string_view line, Ending ending, bool more_buffered) override;
  Step OnLiteral(absl::string_view octets) override;
  Step OnLoginFailed(LoginAnswer answer) override;
  std::string Refusal(absl::string_view backend_line) const override;
  void Forget() override;

  absl::string_view login_tag() const override { return tag_; }

 private:
  void Begin(absl::string_view line);
  // Notes why the command under way is not to be obeyed; the first reason counts. "BAD ..." or "NO ...".
  void Refuse(absl::string_view response);
  void RefuseLiteral(const Announcement& announcement);
  Step Announced(const Announcement& announcement);
  // The command is whole.
  Step Obey(bool more_buffered);
  Step OnCapability();
  Step OnStartTls(bool more_buffered);
  Step OnLogout();
  Step OnId(Arguments& arguments);
  Step OnLogin(Arguments& arguments);
  Step OnAuthenticate(Arguments& arguments);
  Step OnSasl(sasl::Result result);
  Step TryLogin(absl::string_view user, absl::string_view password);
  Step Ok(absl::string_view text);
  Step No(absl::string_view text);
  Step Bad(absl::string_view text);
  Step Respond(absl::string_view response);
  std::string Capabilities() const;

  std::string tag_;  // of the command under way; "*" where the client has given none
  Command command_;
  size_t octets_ = 0;   // of its lines and of the literals that are kept
  size_t dropped_ = 0;  // of its other literals
  std::string refusal_;
  bool more_follows_ = false;  // a literal, and then the rest of the command
  Input input_ = {Input::Kind::kLine, kCommandOctetsMax};
  int bad_commands_ = 0;
};

}  // namespace postern::protocolbroker::imap

#endif  // POSTERN_PROTOCOLBROKER_IMAP_MACHINE_H_
