#ifndef POSTERN_PROTOCOLBROKER_ASK_H_
#define POSTERN_PROTOCOLBROKER_ASK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "protocolbroker/dialogue.h"
#include "sandbox/cage.h"

namespace postern::protocolbroker {

// A backend that is to be asked what it can do.
struct Question {
  std::string service;  // its name, for the log
  uint32_t number = 0;  // its index
  Protocol protocol = Protocol::kPop3;
  bool backend_login = false;
  std::string first;       // what is said before anything else; may be empty
  base::UniqueFd backend;  // a stream socket, perhaps not connected yet
};

// What each may be announced to be able to do, in the order of the questions; empty where it has not told, for whatever
// reason. Each is asked by a child of its own under `seal`, all at the same time: what a backend says is read by a
// process that has nothing but its socket (`others` are descriptors of ours that a child closes), and one that says
// nothing keeps no other from being heard. Logs "capabilities" or "capabilities_unknown" for each.
std::vector<std::vector<std::string>> Ask(std::vector<Question> questions, const sandbox::Seal& seal,
                                          const std::vector<int>& others, int control, absl::Duration time);

}  // namespace postern::protocolbroker

#endif  // POSTERN_PROTOCOLBROKER_ASK_H_
