// What somebody should look at: failed sweeps, activities that keep failing, messages that nobody can work off; and the bill.

param name string
param location string
param tags object
param insightsId string

@description('Who is told; empty for nobody.')
param email string

@description('0 for none.')
param monthlyBudget int

@description('The first day of a month.')
param budgetStart string

var rules = [
  {
    name: 'sweep-failed'
    description: 'A sweep failed. What its input made fail counts too: the sweep\'s status says which it was.'
    severity: 2
    minutes: 15
    moreThan: 0
    // The durable extension's own line. One that was cancelled was terminated, and has another.
    query: 'traces | where message has "Function \'Sweep (Orchestrator)\' failed with an error"'
  }
  {
    name: 'activities-failing'
    description: 'Activities fail and are run again, five times each: the store or the network is away.'
    severity: 2
    minutes: 15
    moreThan: 10
    query: 'dependencies | where isnotempty(customDimensions["headpatching.sweep.id"]) and success == false'
  }
  {
    name: 'work-undone'
    description: 'A message of the durable backend was taken many times and never worked off. It holds its sweep, and on Container Apps a replica.'
    severity: 1
    minutes: 60
    moreThan: 0
    query: 'traces | where message has "is now considered poison"'
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: '${name}-people'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'headpatch'
    emailReceivers: [
      {
        name: 'email'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource alert 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: '${name}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'HeadPatching: ${rule.name}'
      description: rule.description
      severity: rule.severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: 'PT${rule.minutes}M'
      windowSize: 'PT${rule.minutes}M'
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: rule.moreThan
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: { actionGroups: empty(email) ? [] : [people.id] }
    }
  }
]

// It tells, it does not stop anything: maxReplicas bounds what an hour can cost.
resource budget 'Microsoft.Consumption/budgets@2024-08-01' = if (monthlyBudget > 0) {
  name: name
  properties: {
    category: 'Cost'
    amount: monthlyBudget
    timeGrain: 'Monthly'
    timePeriod: { startDate: budgetStart }
    notifications: {
      nearly: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 80
        contactEmails: [email]
      }
      all: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 100
        contactEmails: [email]
      }
    }
  }
}
