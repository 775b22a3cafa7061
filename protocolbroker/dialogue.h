#ifndef POSTERN_PROTOCOLBROKER_DIALOGUE_H_
#define POSTERN_PROTOCOLBROKER_DIALOGUE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "protocolbroker/launch_line.h"
#include "protocolbroker/machine.h"
#include "protocolbroker/tls_side.h"

namespace postern::protocolbroker {

// Who checks the password, and how the backend is reached.
enum class Login {
  kCheckpassword,  // checkpassword, which then becomes the backend
  kBackend,        // a backend that the launcher starts
  kConnect,        // a backend that listens on a socket
};

enum class Protocol { kPop3, kImap };

struct Listener {
  uint32_t service = 0;  // index, for the tlsworker
  Protocol protocol = Protocol::kPop3;
  Login login = Login::kCheckpassword;
  // POP3, for a backend that does the login and knows no CAPA: we relay to answer it, inside TLS too.
  bool answers_capa = false;
  // IMAP, for a program behind checkpassword that greets with PREAUTH: we answer the login for it.
  bool preauth_greeting = false;
  Settings settings;
};

struct Limits {
  absl::Duration login = absl::Seconds(60);      // from the first octet of ours to a finished login, all attempts
  absl::Duration handshake = absl::Seconds(10);  // of TLS; the tlsworker keeps it, we wait a little longer
  absl::Duration idle = absl::Minutes(35);       // where we relay: after the login, without a command or a reply
};

// What one session has. All owned.
struct Client {
  uint64_t session = 0;
  base::UniqueFd stream;  // the client's socket, later the plain side of TLS
  base::UniqueFd life;    // held open while anybody serves the client
  LaunchLine line;
  base::UniqueFd backend_socket;  // of kConnect: not connected yet
};

// Speaks with the client until a backend has the stream or the session is over; ok in both cases. Where we relay, that
// is the end of the session. `tls` is where to ask for TLS, shared by all workers; `control` hangs up with the
// supervisor. Logs "dialogue_end" unless a backend took over.
absl::Status Serve(const Listener& listener, const Limits& limits, Client client, const TlsChannel& tls, int control);

}  // namespace postern::protocolbroker

#endif  // POSTERN_PROTOCOLBROKER_DIALOGUE_H_
