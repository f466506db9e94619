import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.util.Base64;

class Call {
  static HttpRequest post(String address, BodyPublisher body, String accept) {
    return HttpRequest.newBuilder(URI.create(address + "/denoise"))
        .header("Content-Type", "image/png").header("Accept", accept).POST(body).build();
  }

  public static void main(String[] words) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    BodyPublisher picture = BodyPublishers.ofFile(Path.of(words[1]));

    byte[] clean = client.send(post(words[0], picture, "image/png"), BodyHandlers.ofByteArray()).body();
    System.out.println(Base64.getEncoder().encodeToString(clean));

    System.out.println(client.send(post(words[0], picture, "application/json"), BodyHandlers.ofString()).body());

    BodyPublisher nothing = BodyPublishers.ofString("no picture");
    System.out.println(client.send(post(words[0], nothing, "image/png"), BodyHandlers.ofString()).body());
  }
}
