using HeadPatching.Testing;

[assembly: AssemblyFixture(typeof(AzuriteFixture))]
