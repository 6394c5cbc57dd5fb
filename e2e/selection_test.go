package e2e_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var suiteName = flag.String("suite", "", "run only the tests that selection_test.go assigns to this suite: test, long, kafka, soak or mutants")

// suite is a set of tests that one make target runs.
type suite uint8

const (
	onTest    suite = 1 << iota // make test: the embedded broker
	onLong                      // make test-long: the embedded broker, scenarios that take minutes
	onKafka                     // make test-kafka: Apache Kafka
	onSoak                      // make soak: in rounds on Apache Kafka
	onMutants                   // make mutants
)

var suiteNames = map[string]suite{"test": onTest, "long": onLong, "kafka": onKafka, "soak": onSoak, "mutants": onMutants}

// selection assigns every test of this package to suites. The gate runs test, long and kafka.
var selection = map[string]suite{
	"TestAbortedTransactionsAreAccountedFor":        onTest | onKafka,
	"TestAlarmsAreThoseOfARunWithoutKills":          onLong | onKafka | onSoak,
	"TestApacheBrokerKilledAndRestarted":            onKafka | onSoak,
	"TestApacheBrokerPartitionedAway":               onKafka | onSoak,
	"TestApacheKafkaACLs":                           onKafka,
	"TestApacheLeaderOfThreeKilled":                 onKafka | onSoak,
	"TestApacheACLsInReadiness":                     onKafka,
	"TestApacheSecuredKafka":                        onKafka,
	"TestBlindAfterKillAndRestart":                  onLong | onKafka,
	"TestBlindAfterTenKills":                        onLong | onKafka,
	"TestBlindWhenAMemberDies":                      onLong | onKafka,
	"TestBlindDuringARollingRestart":                onLong | onKafka,
	"TestClientsOfTheDocumentSendOnce":              onLong,
	"TestClientLibrariesReadTheTopic":               onTest | onKafka,
	"TestRecordsWithoutAKafkaTimestamp":             onTest | onKafka,
	"TestClaimWaitsForTheBatchUnderWay":             onTest | onSoak,
	"TestCommittedOffsetNeverExceedsStoredOffset":   onTest,
	"TestConnectionCutAtCommitIsHarmless":           onTest | onSoak,
	"TestConsoleToolsReadTheTopic":                  onTest | onKafka,
	"TestConsumerRefusesAForeignSchema":             onTest | onKafka | onSoak,
	"TestConsumersShareThePartitions":               onTest | onKafka,
	"TestConsumerHandsOverWithoutAReader":           onTest | onKafka,
	"TestCrashAtNamedPointsLosesAndDoublesNothing":  onLong | onKafka | onSoak,
	"TestDatabaseAwayForLong":                       onLong | onSoak,
	"TestDatabaseDiskFull":                          onLong | onSoak,
	"TestDatabaseWithoutUTF8IsRefused":              onTest,
	"TestPoolerInSessionMode":                       onTest,
	"TestPoolerInTransactionModeIsRefused":          onTest,
	"TestDatabaseStoppedUnderLoad":                  onLong | onSoak,
	"TestDeadlockIsWaitedOut":                       onTest | onSoak,
	"TestEqualEventsAreNotOneWrittenTwice":          onTest,
	"TestEveryMutantCanBePutIntoTheProduct":         onTest,
	"TestEveryNamedValueThroughTheWholePath":        onTest | onKafka,
	"TestEveryTestIsInTheSelection":                 onTest,
	"TestAddressOfAStandbyForAWhile":                onLong,
	"TestExportedObservationsAreValidFHIR":          onLong,
	"TestExportsHoldWhatIsStored":                   onTest,
	"TestFailoverBehindOneAddress":                  onLong,
	"TestFailoverBetweenTwoHosts":                   onLong,
	"TestStoredAlarmsAreThoseOfTheDetectorAlone":    onLong | onSoak,
	"TestDryRunAfterKillsGivesTheStoredAlarms":      onLong,
	"TestSwitchoverWithTheOldPrimaryAlive":          onLong,
	"TestChangedPasswordIsReadAgain":                onTest,
	"TestForeignProducersAreUnderstood":             onTest | onKafka,
	"TestGroupOfAnotherProgramIsNamed":              onKafka,
	"TestImportKnowsTheRetention":                   onTest,
	"TestImportOfALargeFile":                        onLong,
	"TestImportOfCutFiles":                          onTest,
	"TestImportOfDaylightSavingDays":                onTest,
	"TestImportOfEveryFormat":                       onTest | onKafka,
	"TestImportedReadingsAreNotLive":                onTest | onKafka,
	"TestKilledImports":                             onTest | onKafka,
	"TestInterruptedConsumerLeavesNothingToRepair":  onTest,
	"TestInterruptedExportLeavesNoFile":             onTest,
	"TestInterruptedStartLeavesNothingBehind":       onLong,
	"TestKcatFeedsTheConsumer":                      onTest | onKafka,
	"TestKcatReadsTheTopic":                         onTest | onKafka,
	"TestKilledConsumerLosesAndDoublesNothing":      onTest | onKafka | onSoak,
	"TestKilledNotifiersLoseNothing":                onLong | onSoak,
	"TestKilledProducer":                            onLong | onKafka | onSoak,
	"TestKilledUpLosesNothing":                      onLong,
	"TestLiveTrafficFillsViewsAndMetrics":           onTest | onKafka,
	"TestMembersComeAndGo":                          onLong | onSoak,
	"TestMigrationKilledHalfWay":                    onLong | onSoak,
	"TestMigrationsAtOnce":                          onTest | onSoak,
	"TestMutantsAreFound":                           onMutants,
	"TestOracleFollowsTheContract":                  onTest,
	"TestOracleSharesNoCodeWithTheConsumer":         onTest,
	"TestPartitionsAdded":                           onLong | onKafka | onSoak,
	"TestParquetIsReadByDuckDBAndPandas":            onTest,
	"TestPassingErrorsAreWaitedOut":                 onLong | onSoak,
	"TestPoisonAmongGood":                           onLong | onSoak,
	"TestReadingBackAnExportChangesNothing":         onTest,
	"TestRecordRefusedByTheDatabase":                onTest | onSoak,
	"TestReplayGivesTheSameTables":                  onTest | onKafka | onSoak,
	"TestReportAccumulatesOverRuns":                 onTest,
	"TestRetentionPassesAStoppedConsumer":           onTest | onSoak,
	"TestRetryStormIsStoredOnce":                    onLong | onKafka | onSoak,
	"TestRetentionRefusesWhatIsTooOld":              onTest,
	"TestSchemaHasTheContractsNames":                onTest | onKafka,
	"TestSecondUpIsRefused":                         onTest,
	"TestSerializationFailureIsWaitedOut":           onTest | onSoak,
	"TestSlowDatabaseMakesLagNotMemory":             onLong | onSoak,
	"TestStatementTimeoutIsWaitedOut":               onTest | onSoak,
	"TestStockClientsWorkAgainstUp":                 onTest,
	"TestStrayClocksStayBounded":                    onTest | onSoak,
	"TestTableLockedForLong":                        onLong | onSoak,
	"TestTablesRefuseWhatTheContractRulesOut":       onTest,
	"TestTooManyConnectionsAreWaitedOut":            onLong | onSoak,
	"TestTopicRecreatedUnderItsName":                onTest | onKafka | onSoak,
	"TestTwoHeartbeatsShareADatabase":               onTest | onKafka,
	"TestUnforeseenErrorStopsLoudlyAndLosesNothing": onLong | onSoak,
	"TestUpInAnOrdinaryShell":                       onTest,
	"TestUpStopsInOrderWithoutAReader":              onTest,
	"TestUpAsUnprivilegedUser":                      onTest,
	"TestUpTwiceOnTheSameData":                      onTest,
	"TestZombieCannotWrite":                         onLong | onSoak,
}

// selectSuite restricts the test run to a suite: to those of its tests that -run selects.
func selectSuite() error {
	if *suiteName == "" {
		return nil
	}
	wanted, ok := suiteNames[*suiteName]
	if !ok {
		return fmt.Errorf("-suite %s: want one of %v", *suiteName, slices.Sorted(maps.Keys(suiteNames)))
	}
	run := flag.Lookup("test.run")
	name, subtests, _ := strings.Cut(run.Value.String(), "/")
	pattern, err := regexp.Compile(name)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	var names []string
	for test, suites := range selection {
		if suites&wanted != 0 && pattern.MatchString(test) {
			names = append(names, test)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("-suite %s with -run %q selects no test", *suiteName, run.Value)
	}
	slices.Sort(names)
	selected := "^(" + strings.Join(names, "|") + ")$"
	if subtests != "" {
		selected += "/" + subtests
	}
	return run.Value.Set(selected)
}

// A test that the selection forgets would run in no target; a name that no test has would select nothing.
func TestEveryTestIsInTheSelection(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Recv != nil || !strings.HasPrefix(function.Name.Name, "Test") || function.Name.Name == "TestMain" {
				continue
			}
			found[function.Name.Name] = true
			if _, ok := selection[function.Name.Name]; !ok {
				t.Errorf("%s in %s is in no suite: add it to the table in selection_test.go", function.Name.Name, file)
			}
		}
	}
	for test := range selection {
		if !found[test] {
			t.Errorf("selection_test.go names %s, which does not exist", test)
		}
	}
}
