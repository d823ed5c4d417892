using System.Globalization;
using HeadPatching.DemoModel.Training;
using Spectre.Console;

namespace HeadPatching.DemoModel;

/// <summary>Shows training as a progress bar on a terminal, and as a line now and then where the output is redirected.</summary>
public static class TrainingDisplay
{
    private const int StepsPerLine = 100;

    /// <summary>Does the work while showing the progress it reports.</summary>
    /// <param name="steps">How many steps there will be.</param>
    /// <param name="work">Is given what to call after each step.</param>
    /// <returns>What the work returns.</returns>
    public static T Run<T>(int steps, Func<Action<TrainingProgress>, T> work)
    {
        if (!AnsiConsole.Profile.Out.IsTerminal)
        {
            return work(progress =>
            {
                if (progress.Step % StepsPerLine == 0 || progress.Step == steps)
                {
                    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"step {progress.Step}/{steps}: {Losses(progress)}"));
                }
            });
        }

        ProgressColumn[] columns =
            [new SpinnerColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn(), new TaskDescriptionColumn()];
        return AnsiConsole.Progress().Columns(columns).Start(context =>
        {
            var task = context.AddTask("training", maxValue: steps);
            return work(progress =>
            {
                task.Value = progress.Step;
                task.Description = Losses(progress);
            });
        });
    }

    private static string Losses(TrainingProgress progress) => string.Create(
        CultureInfo.InvariantCulture, $"loss on answers {progress.AnswerLoss:F4}, on all words {progress.LanguageModelLoss:F3}");
}
