// SPDX-License-Identifier: Apache-2.0
//
// What libFuzzer calls: any bytes are the same requests, and the same error, in one piece and in many; and what was found
// is found again when it is written anew.

/// libFuzzer calls it by this name, with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  guard let step = bytes.first else { return 0 }
  let stream = Array(bytes.dropFirst())
  var limits = RequestLimits()
  limits.line = 64
  limits.bulk = 100
  limits.request = 400
  limits.arguments = 20
  let whole = parse(stream, limits, by: stream.count + 1)
  for step in [1, 1 + Int(step % 32)] {
    let pieces = parse(stream, limits, by: step)
    precondition(pieces.requests == whole.requests && pieces.error == whole.error, "split by \(step)")
  }
  var again: [UInt8] = []
  for request in whole.requests {
    again += "*\(request.count)\r\n".utf8
    for argument in request { again += "$\(argument.count)\r\n".utf8 + argument + "\r\n".utf8 }
  }
  let second = parse(again, RequestLimits(), by: again.count + 1)
  precondition(second.requests == whole.requests && second.error == nil && second.rest == 0, "written anew")
  let pattern = GlobPattern(ByteString(stream.span))
  for request in whole.requests.prefix(4) {
    for argument in request.prefix(4) { _ = pattern.matches(argument.span) }
  }
  return 0
}

private struct Found {
  var requests: [[[UInt8]]] = []
  var error: ProtocolError?
  var rest = 0
}

private func parse(_ stream: [UInt8], _ limits: RequestLimits, by step: Int) -> Found {
  var parser = RequestParser(limits: limits)
  var found = Found()
  var stash: [UInt8] = []
  var start = 0
  while start < stream.count {
    let end = min(start + step, stream.count)
    stash += stream[start..<end]
    start = end
    pieces: while true {
      switch parser.next(in: stash.span) {
      case .request: found.requests.append(arguments(Request(stash.span, parser.arguments, parser.count)))
      case .inline:
        let line = parser.line
        found.requests.append(arguments(Request(line.span, parser.arguments, parser.count)))
      case .incomplete: break pieces
      case .failed(let error):
        found.error = error
        return found
      }
    }
    let done = parser.discard()
    precondition(done <= stash.count, "more is done with than there was")
    stash.removeFirst(done)
    precondition(stash.count <= limits.request + limits.line + step + 100, "more is kept than the limits allow")
  }
  found.rest = stash.count
  return found
}

private func arguments(_ request: borrowing Request) -> [[UInt8]] {
  precondition(request.count > 0, "a request without a name")
  var arguments: [[UInt8]] = []
  for index in 0..<request.count {
    let argument = request[index]
    arguments.append((0..<argument.count).map { argument[$0] })
  }
  return arguments
}
