using System.CommandLine;
using System.Globalization;
using HeadPatching.DemoModel;
using HeadPatching.DemoModel.Training;
using TorchSharp;

const int BadInput = 2;
const int Interrupted = 130;

var defaults = new TrainingOptions();
var seed = new Option<int>("--seed")
{
    Description = "Seed of the first weights and of the sentences",
    DefaultValueFactory = _ => defaults.Seed,
};
var steps = new Option<int>("--steps")
{
    Description = "Training steps, at least 1",
    DefaultValueFactory = _ => defaults.Steps,
};
var output = new Option<string>("--out")
{
    Description = "The folder to write",
    DefaultValueFactory = _ => DemoModelFolder.Source,
};
steps.Validators.Add(result =>
{
    // What is no number at all is refused by the parser.
    if (result.Tokens is [var token] && int.TryParse(token.Value, CultureInfo.InvariantCulture, out var number) && number < 1)
    {
        result.AddError("--steps must be at least 1.");
    }
});

var command = new RootCommand("Trains the demo model, a very small GPT-2, on generated indirect-object sentences.") { seed, steps, output };
command.SetAction((arguments, cancellation) => Task.FromResult(Train(
    defaults with { Seed = arguments.GetValue(seed), Steps = arguments.GetValue(steps) },
    arguments.GetRequiredValue(output),
    cancellation)));

var parsed = command.Parse(args);
var exitCode = await parsed.InvokeAsync();
return parsed.Errors.Count > 0 ? BadInput : exitCode;

static int Train(TrainingOptions options, string folder, CancellationToken cancellation)
{
    // With one thread sums are always taken in the same order, so a seed gives the same model on two cores and on sixty.
    torch.set_num_threads(1);
    try
    {
        var accuracy = TrainingDisplay.Run(options.Steps, onStep => DemoModelBuilder.Build(folder, options, onStep, cancellation));
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"on {accuracy.Sentences} sentences about held-out name pairs: {accuracy.Correct:P2} right, "
            + $"{accuracy.Preferred:P2} with the right name above the wrong one"));
        Console.WriteLine($"written to {folder}");
        return 0;
    }
    catch (OperationCanceledException)
    {
        Console.Error.WriteLine("Interrupted; nothing was written.");
        return Interrupted;
    }
    catch (Exception e) when (e is IOException or UnauthorizedAccessException)
    {
        Console.Error.WriteLine($"--out {folder}: the folder cannot be written: {e.Message}");
        return BadInput;
    }
}
