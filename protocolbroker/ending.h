#ifndef POSTERN_PROTOCOLBROKER_ENDING_H_
#define POSTERN_PROTOCOLBROKER_ENDING_H_

namespace postern::protocolbroker {

// How a line ended on the wire. kTooLong: it had not ended when the limit was reached.
enum class Ending { kCrLf, kBareLf, kTooLong };

}  // namespace postern::protocolbroker

#endif  // POSTERN_PROTOCOLBROKER_ENDING_H_
