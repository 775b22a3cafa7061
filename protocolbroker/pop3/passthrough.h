#ifndef POSTERN_PROTOCOLBROKER_POP3_PASSTHROUGH_H_
#define POSTERN_PROTOCOLBROKER_POP3_PASSTHROUGH_H_

// What the broker has to know of POP3 while it stands between a client and a backend that does the login itself, in
// clear text: which commands it answers for the backend, and where a reply ends. One command is under way at a time
// (qmail-popup loses what is sent behind PASS). Pure, as the machine.

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace postern::protocolbroker::pop3 {

class Passthrough {
 public:
  // `capabilities` are the lines of CAPA's answer, the last one "." (RFC 2449 §5), each with CRLF. Empty: the backend
  // answers CAPA itself.
  explicit Passthrough(std::string capabilities) : capabilities_(std::move(capabilities)) {}

  // How many octets the client's next line may have, its CRLF included.
  size_t line_octets_max() const;

  // The client's next line, without its CRLF. Not empty: the answer, whole lines; the backend is not asked. Empty: the
  // line goes to the backend, whose reply comes next.
  std::string OnLine(absl::string_view line);
  // What the backend says, in any pieces. True: it owes no reply (any more).
  bool OnReply(absl::string_view octets);

  // The backend has sent a challenge: the client's next line is its answer.
  bool challenged() const { return sasl_; }
  // The backend has accepted a PASS or an AUTH.
  bool logged_in() const { return logged_in_; }

 private:
  bool OnReplyLine();

  const std::string capabilities_;
  bool awaiting_ = false;  // the backend owes a reply
  bool logged_in_ = false;
  bool sasl_ = false;         // the last reply was a challenge: what the client says next is no command
  bool logging_in_ = false;   // the command under way is a login
  bool may_be_long_ = false;  // its +OK is followed by lines up to "."
  bool in_lines_ = false;     // among those lines
  std::string line_;          // the beginning of the reply's line under way
};

}  // namespace postern::protocolbroker::pop3

#endif  // POSTERN_PROTOCOLBROKER_POP3_PASSTHROUGH_H_
