// Prompts from standard input, answers to standard output, a line each, in hex; the argument is the tokenizer's folder.
import java.io.File
import java.nio.ByteBuffer
import org.tensorflow.lite.hex
import org.tensorflow.lite.unhex

fun main(arguments: Array<String>) {
    val (vocabulary, merges) = listOf("vocabulary.json", "merges.txt").map { File(arguments[0], it).readText() }
    Autocomplete(ByteBuffer.allocateDirect(1), vocabulary, merges).use { model ->
        generateSequence { readlnOrNull() }.forEach { println(hex(model.complete(String(unhex(it))).toByteArray())) }
    }
}
