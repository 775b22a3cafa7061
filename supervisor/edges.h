#ifndef POSTERN_SUPERVISOR_EDGES_H_
#define POSTERN_SUPERVISOR_EDGES_H_

// Who is connected to whom: the whole list. docs/processes.md draws it.

#include <array>
#include <cstddef>

namespace postern::supervisor {

// In the order of starting; the uid of a role is [roles] uid_base plus its place in kUidOrder.
enum RoleId : size_t { kLogger, kBackendLauncher, kTlsWorker, kProtocolBroker, kAcceptor, kRoles };

struct RoleName {
  const char* name;     // of the process, the binary and the policy file
  const char* binary;   // below the directory of a build; the last part alone when installed
  unsigned uid_offset;  // from [roles] uid_base
};
inline constexpr std::array<RoleName, kRoles> kRoleNames = {{
    {"logger", "logger/logger", 4},
    {"backendlauncher", "backendlauncher/backendlauncher", 3},
    {"tlsworker", "tlsworker/tlsworker", 2},
    {"protocolbroker", "protocolbroker/protocolbroker", 1},
    {"acceptor", "acceptor/acceptor", 0},
}};

// A SOCK_SEQPACKET socketpair. Each end is named, for the role that has it, after the role at the other. The supervisor
// keeps a copy of both, so that a role that died is wired again without touching the others; what was sent to it
// meanwhile waits in the socket. What travels: kPermits in ipc/messages.h.
struct Edge {
  RoleId from, to;
};
inline constexpr Edge kEdges[] = {
    {kAcceptor, kBackendLauncher},  // LaunchLine: the right to log in
    {kAcceptor, kProtocolBroker},   // Session: the client
    {kProtocolBroker, kTlsWorker},  // StartTls: the client again
};
// Besides, every role has a `control` socketpair to the supervisor (new at each start; its hang-up ends the role and
// its workers) and a `log` socketpair to the logger, where it is a `source`; so have the supervisor and, as `stderr`,
// the backends together; the probes share a `source`, too.

}  // namespace postern::supervisor

#endif  // POSTERN_SUPERVISOR_EDGES_H_
