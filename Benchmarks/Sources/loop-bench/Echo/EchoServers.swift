// SPDX-License-Identifier: Apache-2.0
//
// The servers that send back what comes, one for each contender. Each runs in a process of its own, writes its port to
// standard output, and goes on until it is ended.

import ArgumentParser
import AsyncIO
import CRawLibevent
import Glibc

enum EchoServer: String, CaseIterable, ExpressibleByArgument {
  case ours = "asyncio-swift"
  case libevent
  case nio
  case nioAsync = "nio-async"

  func serve() throws {
    allow_all_descriptors()
    switch self {
    case .ours: try serveOnStreams()
    case .libevent: raw_echo_serve()
    case .nio: try NIOEcho.serveOnPipeline()
    case .nioAsync: try NIOEcho.serveOnAsyncChannel()
    }
  }
}

func tell(port: Int) {
  print(port)
  fflush(nil)
}

private func serveOnStreams() throws {
  try EventLoop.run { loop in
    var options = ServerOptions()
    options.backlog = 4_096
    let server = try await startServer(host: "127.0.0.1", port: 0, options: options) { connection in
      let (reader, writer) = (connection.reader, connection.writer)
      while try await reader.fill() {
        var hasRoom = true
        try reader.consume { bytes in
          hasRoom = try writer.writeNow(bytes)
          return bytes.count
        }
        if !hasRoom { try await writer.drain() }
      }
    }
    tell(port: server.addresses.first?.port ?? 0)
    try await server.serveForever()
  }
}
