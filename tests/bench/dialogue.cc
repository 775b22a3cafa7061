#include "tests/bench/dialogue.h"

#include <string_view>

namespace postern::bench {
namespace {

constexpr std::string_view kTag = "a ";  // one command at a time, so one is enough

Dialogue Pop3(const std::string& user, const std::string& password) {
  return {
      .start_tls = {"STLS", "STLS", Ends::kLine},
      .first = {"CAPA", "CAPA", Ends::kDot},
      .login = {{"USER", "USER " + user, Ends::kLine},
                {"PASS", "PASS " + password, Ends::kLine},
                {"STAT", "STAT", Ends::kLine}},
      .work = {{"NOOP", "NOOP", Ends::kLine},
               {"UIDL", "UIDL", Ends::kDot},
               {"RETR small", "RETR 1", Ends::kDot},
               {"RETR 64k", "RETR 3", Ends::kDot}},
      .bulk = {"RETR", "RETR 1", Ends::kDot},
      .quit = {"QUIT", "QUIT", Ends::kLine},
  };
}

Command Tagged(const std::string& name, const std::string& text) {
  return {name, std::string(kTag) + text, Ends::kTag};
}

Dialogue Imap(const std::string& user, const std::string& password) {
  return {
      .start_tls = Tagged("STARTTLS", "STARTTLS"),
      .first = Tagged("CAPABILITY", "CAPABILITY"),
      .login = {Tagged("LOGIN", "LOGIN " + user + " " + password), Tagged("SELECT", "SELECT INBOX")},
      .work = {Tagged("NOOP", "NOOP"), Tagged("FETCH flags", "FETCH 1:* (FLAGS)"),
               Tagged("FETCH small", "FETCH 1 BODY.PEEK[]"), Tagged("FETCH 64k", "FETCH 3 BODY.PEEK[]")},
      .bulk = Tagged("FETCH", "FETCH 1 BODY.PEEK[]"),
      .quit = Tagged("LOGOUT", "LOGOUT"),
  };
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string_view LastLine(std::string_view text) {
  const size_t before = text.substr(0, text.size() - 2).rfind("\r\n");
  return before == std::string_view::npos ? text : text.substr(before + 2);
}

}  // namespace

Dialogue MakeDialogue(const std::string& protocol, const std::string& user, const std::string& password) {
  return protocol == "imap" ? Imap(user, password) : Pop3(user, password);
}

bool Complete(const std::string& reply, Ends ends) {
  if (!EndsWith(reply, "\r\n")) return false;
  if (ends == Ends::kDot) return EndsWith(reply, "\r\n.\r\n");
  // A literal may hold such a line and a read may end there; no message of the benchmark has one.
  return ends == Ends::kLine || LastLine(reply).substr(0, kTag.size()) == kTag;
}

bool Good(const std::string& reply, Ends ends) {
  const std::string_view line = ends == Ends::kTag ? LastLine(reply).substr(kTag.size()) : std::string_view(reply);
  return line.substr(0, 2) == "OK" || line.substr(0, 3) == "+OK" || line.substr(0, 4) == "* OK";
}

}  // namespace postern::bench
