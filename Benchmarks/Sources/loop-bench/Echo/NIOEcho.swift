// SPDX-License-Identifier: Apache-2.0
//
// SwiftNIO's echo servers: a handler in a pipeline, and the async channel.

import Glibc
import NIOCore
import NIOPosix

private final class EchoHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }

  func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
}

enum NIOEcho {
  private static func bootstrap() -> ServerBootstrap {
    ServerBootstrap(group: MultiThreadedEventLoopGroup(numberOfThreads: 1))
      .serverChannelOption(.backlog, value: 4_096)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
  }

  static func serveOnPipeline() throws {
    let channel = try bootstrap()
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(EchoHandler()) }
      }
      .bind(host: "127.0.0.1", port: 0).wait()
    tell(port: channel.localAddress?.port ?? 0)
    try channel.closeFuture.wait()
  }

  static func serveOnAsyncChannel() throws {
    Task {
      let server = try await bootstrap().bind(host: "127.0.0.1", port: 0) { channel in
        channel.eventLoop.makeCompletedFuture {
          try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
        }
      }
      tell(port: server.channel.localAddress?.port ?? 0)
      try await server.executeThenClose { clients in
        try await withThrowingDiscardingTaskGroup { group in
          for try await client in clients {
            group.addTask {
              try? await client.executeThenClose { inbound, outbound in
                for try await bytes in inbound { try await outbound.write(bytes) }
              }
            }
          }
        }
      }
    }
    while true { pause() }
  }
}
