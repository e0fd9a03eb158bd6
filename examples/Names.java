import java.util.List;
import java.util.stream.Collectors;

public class Names {
    public static void main(String[] args) {
        List<String> names = List.of("ada", "grace", "alan");
        System.out.println(names.stream().map(Names::capital).collect(Collectors.joining(", ")));
    }

    private static String capital(String name) {
        return name.substring(0, 1).toUpperCase() + name.substring(1);
    }
}
