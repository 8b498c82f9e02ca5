// SPDX-License-Identifier: Apache-2.0
//
// What a client may send, and what it is told when it sends something else.

/// How large requests may be, so that no client costs more memory than it has sent, and that not without a bound.
struct RequestLimits {
  /// The most bytes of an argument.
  var bulk = 64 << 20
  /// The most bytes of a request.
  var request = 128 << 20
  /// The most arguments of a request.
  var arguments = 1 << 20
  /// The most bytes of a line: an inline command, or the announcement of an array or an argument.
  var line = 64 << 10
}

/// Bytes that are no request. The client is told, and its connection closed.
enum ProtocolError: Error, Equatable, CustomStringConvertible {
  case tooBigInline
  case unbalancedQuotes
  case tooBigMultibulkCount
  case invalidMultibulkLength
  case tooBigBulkCount
  case invalidBulkLength
  case expectedBulk(UInt8)
  case tooBigRequest

  /// In the words of Redis, which has none for the last one.
  var description: String {
    switch self {
    case .tooBigInline: "Protocol error: too big inline request"
    case .unbalancedQuotes: "Protocol error: unbalanced quotes in request"
    case .tooBigMultibulkCount: "Protocol error: too big mbulk count string"
    case .invalidMultibulkLength: "Protocol error: invalid multibulk length"
    case .tooBigBulkCount: "Protocol error: too big bulk count string"
    case .invalidBulkLength: "Protocol error: invalid bulk length"
    case .expectedBulk(let byte): "Protocol error: expected '$', got '\(Character(Unicode.Scalar(byte)))'"
    case .tooBigRequest: "Protocol error: too big request"
    }
  }
}
