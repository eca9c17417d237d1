package skerry.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.ValueAndTimestamp;
import org.apache.kafka.streams.state.WindowBytesStoreSupplier;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The thread's windowed aggregate by Kafka Streams' TopologyTestDriver: one driver a partition, records as JSON bytes.
 * Arguments: input (lines of partition, key, event time, JSON, parted by tabs), output (the table as JSON lines), rounds.
 * Prints one JSON line of figures a round; the first warms the JVM. The input is in memory before the clock starts.
 *
 * The store is in memory: the driver commits after every record, which flushes a RocksDB store each time and would
 * measure that alone (300 records a second).
 */
public final class FlightThread {
  private static final Duration SIZE = Duration.ofHours(1);
  private static final Duration GRACE = Duration.ofHours(2);
  private static final Duration RETENTION = Duration.ofHours(7 * 24 + 3);
  private static final ObjectMapper JSON = new ObjectMapper();

  private record Input(byte[] key, long time, byte[] value) {}

  private record Delays(long count, double sum, double max, long delayed) {
    Delays add(double delay) {
      return new Delays(count + 1, sum + delay, Math.max(max, delay), delayed + (delay > 15 ? 1 : 0));
    }
  }

  public static void main(String[] arguments) throws Exception {
    List<List<Input>> partitions = read(Path.of(arguments[0]));
    for (int rounds = Integer.parseInt(arguments[2]); rounds > 0; rounds--) round(partitions, Path.of(arguments[1]));
  }

  private static void round(List<List<Input>> partitions, Path output) throws Exception {
    long records = 0;
    long nanos = 0;
    long late = 0;
    try (BufferedWriter out = Files.newBufferedWriter(output)) {
      for (List<Input> inputs : partitions) {
        Path state = Path.of(output + ".state");
        try (TopologyTestDriver driver = new TopologyTestDriver(topology(), config(state))) {
          var topic = driver.createInputTopic("flights", new ByteArraySerializer(), new ByteArraySerializer());
          long began = System.nanoTime();
          for (Input input : inputs) topic.pipeInput(input.key(), input.value(), input.time());
          nanos += System.nanoTime() - began;
          records += inputs.size();
          late += (long) driver.metrics().entrySet().stream()
              .filter(entry -> entry.getKey().name().equals("dropped-records-total"))
              .mapToDouble(entry -> (double) entry.getValue().metricValue())
              .sum();
          WindowStore<String, ValueAndTimestamp<Delays>> store = driver.getTimestampedWindowStore("delays");
          try (KeyValueIterator<Windowed<String>, ValueAndTimestamp<Delays>> all = store.all()) {
            while (all.hasNext()) {
              KeyValue<Windowed<String>, ValueAndTimestamp<Delays>> row = all.next();
              write(out, row.key, row.value.value());
            }
          }
        }
      }
    }
    System.out.printf(Locale.ROOT, "{\"records\":%d,\"seconds\":%.6f,\"late\":%d}%n", records, nanos / 1e9, late);
  }

  private static Topology topology() {
    WindowBytesStoreSupplier store = Stores.inMemoryWindowStore("delays", RETENTION, SIZE, false);
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream("flights", Consumed.with(Serdes.String(), json()))
        .groupByKey()
        .windowedBy(TimeWindows.ofSizeAndGrace(SIZE, GRACE))
        .aggregate(
            () -> new Delays(0, 0, Double.NEGATIVE_INFINITY, 0),
            (key, flight, delays) -> delays.add(flight.get("delay").doubleValue()),
            Materialized.<String, Delays>as(store).withKeySerde(Serdes.String()).withValueSerde(delays()));
    return builder.build();
  }

  private static Properties config(Path state) {
    Properties config = new Properties();
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, "thread");
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "none:9092");
    config.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
    return config;
  }

  private static Serde<JsonNode> json() {
    Serializer<JsonNode> unused = (topic, value) -> {
      throw new UnsupportedOperationException("flights are only read");
    };
    Deserializer<JsonNode> read = (topic, bytes) -> {
      try {
        return JSON.readTree(bytes);
      } catch (java.io.IOException error) {
        throw new java.io.UncheckedIOException(error);
      }
    };
    return Serdes.serdeFrom(unused, read);
  }

  private static Serde<Delays> delays() {
    Serializer<Delays> write = (topic, delays) -> delays == null ? null
        : ByteBuffer.allocate(32).putLong(delays.count()).putDouble(delays.sum()).putDouble(delays.max()).putLong(delays.delayed()).array();
    Deserializer<Delays> read = (topic, bytes) -> {
      if (bytes == null) return null;
      ByteBuffer from = ByteBuffer.wrap(bytes);
      return new Delays(from.getLong(), from.getDouble(), from.getDouble(), from.getLong());
    };
    return Serdes.serdeFrom(write, read);
  }

  private static List<List<Input>> read(Path file) throws Exception {
    List<List<Input>> partitions = new ArrayList<>();
    try (BufferedReader lines = Files.newBufferedReader(file)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String[] parts = line.split("\t", 4);
        int partition = Integer.parseInt(parts[0]);
        while (partitions.size() <= partition) partitions.add(new ArrayList<>());
        partitions.get(partition).add(new Input(bytes(parts[1]), Long.parseLong(parts[2]), bytes(parts[3])));
      }
    }
    return partitions;
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static void write(BufferedWriter out, Windowed<String> key, Delays delays) throws Exception {
    var row = JSON.createObjectNode();
    row.put("key", key.key());
    row.putObject("window").put("start", key.window().start()).put("end", key.window().end());
    row.putObject("value")
        .put("count", delays.count())
        .put("mean", delays.sum() / delays.count())
        .put("max", delays.max())
        .put("delayed", (double) delays.delayed() / delays.count());
    out.write(JSON.writeValueAsString(row));
    out.newLine();
  }

  private FlightThread() {}
}
