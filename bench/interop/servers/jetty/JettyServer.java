import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;

import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.Fields;
import org.eclipse.jetty.websocket.api.Callback;
import org.eclipse.jetty.websocket.api.Session;
import org.eclipse.jetty.websocket.server.ServerUpgradeRequest;
import org.eclipse.jetty.websocket.server.ServerUpgradeResponse;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/** Jetty, embedded, as a server: JettyServer.java MODE=PORT... See ../../README.md, "What a server does". */
public class JettyServer {
    static volatile String lastClose = "";

    public static void main(String[] arguments) throws Exception {
        for (String argument : arguments) {
            String[] parts = argument.split("=");
            start(parts[0], Integer.parseInt(parts[1]));
        }
    }

    static void start(String mode, int port) throws Exception {
        Server server = new Server();
        HttpConfiguration http = new HttpConfiguration();
        http.setResponseHeaderSize(64 << 10);
        ServerConnector connector = new ServerConnector(server, new HttpConnectionFactory(http));
        connector.setHost("127.0.0.1");
        connector.setPort(port);
        server.addConnector(connector);
        server.setHandler(WebSocketUpgradeHandler.from(server, container -> {
            container.setMaxTextMessageSize(32 << 20);
            container.setMaxBinaryMessageSize(32 << 20);
            container.setIdleTimeout(Duration.ofMinutes(5));
            container.addMapping("/*", (request, response, callback) -> accept(mode, request, response, callback));
        }));
        server.start();
    }

    static Object accept(String mode, ServerUpgradeRequest request, ServerUpgradeResponse response, org.eclipse.jetty.util.Callback callback) {
        String path = Request.getPathInContext(request);
        Fields query = Request.extractQueryParameters(request);
        response.getHeaders().put("Set-Cookie", "seen=yes; Path=/");
        if (path.equals("/refuse")) {
            response.setStatus(Integer.parseInt(query.getValue("status")));
            response.getHeaders().put("X-Reason", "interop").put("Retry-After", "7").put("Location", "http://127.0.0.1:1/");
            response.write(true, StandardCharsets.UTF_8.encode("refused ".repeat(200)), callback);
            return null;
        }
        response.getHeaders().put("X-Served-By", "jetty");
        if (path.equals("/big")) {
            response.getHeaders().put("X-Big", "b".repeat(Integer.parseInt(query.getValue("bytes"))));
        }
        for (String name : request.getSubProtocols()) {
            if (List.of("chat.v1", "chat.v2").contains(name)) {
                response.setAcceptedSubProtocol(name);
                break;
            }
        }
        if (mode.equals("off")) {
            response.setExtensions(List.of());
        }
        return new Conversation(path, query, fields(request));
    }

    static String fields(Request request) {
        return request.getHeaders().stream()
            .collect(Collectors.groupingBy(HttpField::getLowerCaseName, Collectors.mapping(HttpField::getValue, Collectors.joining(", "))))
            .entrySet().stream().map(field -> quote(field.getKey()) + ":" + quote(field.getValue()))
            .collect(Collectors.joining(",", "{", "}"));
    }

    static String quote(String s) {
        return "\"" + s.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }

    public static class Conversation extends Session.Listener.AbstractAutoDemanding {
        final String path;
        final Fields query;
        final String fields;

        Conversation(String path, Fields query, String fields) {
            this.path = path;
            this.query = query;
            this.fields = fields;
        }

        @Override
        public void onWebSocketOpen(Session session) {
            super.onWebSocketOpen(session);
            switch (path) {
                case "/close" -> session.close(Integer.parseInt(query.getValue("code")), query.getValue("reason"), Callback.NOOP);
                case "/drop" -> session.disconnect();
                case "/headers" -> session.sendText(fields, Callback.NOOP);
                case "/lastclose" -> session.sendText(lastClose, Callback.from(session::close, failure -> { }));
                case "/greet" -> greet(session);
                case "/slow" -> sleep();
                default -> { }
            }
        }

        void greet(Session session) {
            int size = Integer.parseInt(query.getValue("size"));
            for (int n = 0; n < Integer.parseInt(query.getValue("count")); n++) {
                String number = String.valueOf(n);
                session.sendText(number + ".".repeat(Math.max(0, size - number.length())), Callback.NOOP);
            }
        }

        static void sleep() {
            try {
                Thread.sleep(500);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        @Override
        public void onWebSocketText(String message) {
            Session session = getSession();
            switch (path) {
                case "/ping" -> session.sendPing(StandardCharsets.UTF_8.encode(message), Callback.NOOP);
                case "/fragments" -> {
                    int third = message.offsetByCodePoints(0, message.codePointCount(0, message.length()) / 3);
                    session.sendPartialText(message.substring(0, third), false, Callback.NOOP);
                    session.sendPing(StandardCharsets.UTF_8.encode("between"), Callback.NOOP);
                    session.sendPartialText("", false, Callback.NOOP);
                    session.sendPartialText(message.substring(third), true, Callback.NOOP);
                }
                default -> session.sendText(message, Callback.NOOP);
            }
        }

        @Override
        public void onWebSocketBinary(ByteBuffer payload, Callback callback) {
            Session session = getSession();
            Callback done = Callback.from(callback::succeed, callback::fail);
            if (!path.equals("/fragments")) {
                session.sendBinary(payload, done);
                return;
            }
            int third = payload.remaining() / 3;
            session.sendPartialBinary(payload.slice(payload.position(), third), false, Callback.NOOP);
            session.sendPing(StandardCharsets.UTF_8.encode("between"), Callback.NOOP);
            session.sendPartialBinary(payload.slice(payload.position() + third, third), false, Callback.NOOP);
            session.sendPartialBinary(payload.slice(payload.position() + 2 * third, payload.remaining() - 2 * third), true, done);
        }

        @Override
        public void onWebSocketPong(ByteBuffer payload) {
            if (path.equals("/ping")) {
                getSession().sendText("pong " + StandardCharsets.UTF_8.decode(payload), Callback.NOOP);
            }
        }

        @Override
        public void onWebSocketClose(int code, String reason) {
            if (path.equals("/echo")) {
                lastClose = code + " " + (reason == null ? "" : reason);
            }
        }
    }
}
