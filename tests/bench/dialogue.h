// What the benchmark's clients say, in POP3 (RFC 1939, 2449, 2595) and in IMAP (RFC 3501).
#ifndef TESTS_BENCH_DIALOGUE_H_
#define TESTS_BENCH_DIALOGUE_H_

#include <string>
#include <vector>

namespace postern::bench {

// Where a reply ends: after one line, after the line with the dot, or after the line with the command's tag.
enum class Ends { kLine, kDot, kTag };

struct Command {
  std::string name;  // what its reply is called in the results
  std::string line;  // without CRLF
  Ends ends;
};

struct Dialogue {
  Command start_tls;
  Command first;               // after STARTTLS, where no greeting follows
  std::vector<Command> login;  // until the mailbox is open
  std::vector<Command> work;   // what a client does again and again
  Command bulk;                // the first message
  Command quit;
};

// `protocol` is "pop3" or "imap".
Dialogue MakeDialogue(const std::string& protocol, const std::string& user, const std::string& password);

// Whether `reply`, or its first and last lines, is complete.
bool Complete(const std::string& reply, Ends ends);

// Whether it says that all is well; the greeting's too, which ends after one line.
bool Good(const std::string& reply, Ends ends);

}  // namespace postern::bench

#endif  // TESTS_BENCH_DIALOGUE_H_
